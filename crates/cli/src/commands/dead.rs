use std::collections::{BTreeSet, VecDeque};

use clap::{Args, Subcommand};
use leat_contract::AssetRole;
use leat_contract::headers::{
    DEAD_ATTEMPTS, DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SEQUENCE, DEAD_STREAM, DEAD_SUBJECT, DEAD_TRUNCATED,
    MESSAGE_ID,
};
use leat_messaging::{Error as Messaging, EventLog, Follower, Headers, Position, StoredMessage};
use serde_json::json;

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Dead letters that are listed.
const LISTED_MAX: usize = 10_000;
/// Dead letters that are read at once.
const PAGE: usize = 1_000;

/// Look at messages that were given up, and send them again.
#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List dead letters, the newest last, with the reason of each.
    #[command(after_help = "Example: leat dead ls --output json")]
    Ls,
    /// Send dead letters again to where they came from, and take them off the list.
    #[command(after_help = "Examples:\n  leat dead replay 17\n  leat dead replay --all")]
    Replay(Replay),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// Their numbers, as `leat dead ls` shows them.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    numbers: Vec<u64>,
    /// Every one.
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(global: &GlobalOptions, dead: Dead) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let log = session.storage.event_log(AssetRole::Dead);
    match dead {
        Dead::Ls => {
            let (older, letters) = newest(Pages::of(&session, &log).await?, LISTED_MAX).await?;
            if older > 0 {
                output::say(&format!("{older} older ones are not shown"));
            }
            list(&session, &letters)
        }
        Dead::Replay(replay) => {
            let mut replayed = Replayed::default();
            let outcome = if replay.all {
                replayed.all(Pages::of(&session, &log).await?, &log).await
            } else {
                let mut letters = Vec::new();
                for number in BTreeSet::from_iter(replay.numbers) {
                    letters.push(letter(&session, &log, number).await?);
                }
                replayed.letters(&log, &letters).await
            };
            // What was sent is sent, however it ended.
            replayed.tell(&session)?;
            outcome.and_then(|()| replayed.complain())
        }
    }
}

/// The letters that are there now, one page after the other. What is given up meanwhile is not among them.
struct Pages<'session> {
    session: &'session Session,
    log: &'session EventLog,
    read_to: u64,
    last: u64,
}

impl<'session> Pages<'session> {
    async fn of(session: &'session Session, log: &'session EventLog) -> Result<Self, Error> {
        Ok(Self { session, log, read_to: 0, last: log.last_sequence().await? })
    }

    /// Empty after the last one.
    async fn next(&mut self) -> Result<Vec<StoredMessage>, Error> {
        if self.read_to >= self.last {
            return Ok(Vec::new());
        }
        let from = Position::After(self.read_to);
        let mut page = follow(self.session, self.log, from).take_stored(PAGE).await?;
        page.retain(|letter| letter.sequence() <= self.last);
        self.read_to = page.last().map_or(self.last, StoredMessage::sequence);
        Ok(page)
    }
}

/// The newest letters, `max` at most, and how many older ones there are. Numbers have gaps, so all of them are read.
async fn newest(mut pages: Pages<'_>, max: usize) -> Result<(usize, VecDeque<StoredMessage>), Error> {
    let (mut older, mut letters) = (0, VecDeque::new());
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok((older, letters));
        }
        letters.extend(page);
        let excess = letters.len().saturating_sub(max);
        letters.drain(..excess);
        older += excess;
    }
}

/// The letter with a number.
async fn letter(session: &Session, log: &EventLog, number: u64) -> Result<StoredMessage, Error> {
    let mut follower = follow(session, log, Position::After(number.saturating_sub(1)));
    let found = follower.take_stored(1).await?.into_iter().find(|letter| letter.sequence() == number);
    found.ok_or_else(|| {
        let hint = "`leat dead ls` shows those there are".to_owned();
        Error::Unknown { what: "dead letter", name: number.to_string(), hint }
    })
}

fn follow(session: &Session, log: &EventLog, from: Position) -> Follower {
    log.follow(&session.subjects.dead_letter_all(), from)
}

fn list(session: &Session, letters: &VecDeque<StoredMessage>) -> Result<(), Error> {
    let of = |letter: &StoredMessage, name: &str| letter.header(name).unwrap_or_default().to_owned();
    if session.is_json() {
        let letters = letters.iter().map(|letter| {
            json!({
                "number": letter.sequence(),
                "at": letter.stored_at_ms(),
                "subject": of(letter, DEAD_SUBJECT),
                "stream": of(letter, DEAD_STREAM),
                "sequence": of(letter, DEAD_SEQUENCE),
                "attempts": of(letter, DEAD_ATTEMPTS),
                "id": letter.header(DEAD_MESSAGE_ID),
                "reason": of(letter, DEAD_REASON),
                "bytes": letter.payload().len(),
            })
        });
        return output::json(&letters.collect::<Vec<_>>());
    }
    let rows = letters.iter().map(|letter| {
        let number = letter.sequence().to_string();
        let (at, id) = (output::moment(letter.stored_at_ms()), of(letter, DEAD_MESSAGE_ID));
        vec![number, at, of(letter, DEAD_SUBJECT), id, of(letter, DEAD_REASON)]
    });
    output::line(&output::table(&["letter", "given up (UTC)", "subject", "id", "reason"], rows.collect()));
    Ok(())
}

/// What became of letters that were to be sent again.
#[derive(Default)]
struct Replayed {
    sent: Vec<u64>,
    /// Those that cannot be sent, and why.
    kept: Vec<(u64, String)>,
}

impl Replayed {
    async fn all(&mut self, mut pages: Pages<'_>, log: &EventLog) -> Result<(), Error> {
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                return Ok(());
            }
            self.letters(log, &page).await?;
        }
    }

    /// Sends what can be sent. A letter that nobody takes holds up none of the others; a broker that is away does.
    async fn letters(&mut self, log: &EventLog, letters: &[StoredMessage]) -> Result<(), Error> {
        for letter in letters {
            let number = letter.sequence();
            let subject = match origin(letter) {
                Ok(subject) => subject,
                Err(reason) => {
                    self.kept.push((number, reason));
                    continue;
                }
            };
            match send_again(log, letter, subject).await {
                Ok(()) => self.sent.push(number),
                Err(gone @ (Messaging::Disconnected | Messaging::Closed | Messaging::Timeout { .. })) => {
                    return Err(gone.into());
                }
                Err(error) => self.kept.push((number, format!("cannot be sent: {error}"))),
            }
        }
        Ok(())
    }

    fn tell(&self, session: &Session) -> Result<(), Error> {
        if session.is_json() {
            return output::json(&json!({ "replayed": self.sent }));
        }
        output::line(&format!("{} sent again", self.sent.len()));
        Ok(())
    }

    fn complain(self) -> Result<(), Error> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let kept = self.kept.iter().map(|(number, reason)| format!("letter {number} {reason}"));
        Err(Error::Usage(kept.collect::<Vec<_>>().join("\n")))
    }
}

/// Where a letter came from, or why it cannot be sent there again.
fn origin(letter: &StoredMessage) -> Result<&str, String> {
    match letter.header(DEAD_TRUNCATED) {
        Some(bytes) => Err(format!("was kept without its content of {bytes} bytes; send it anew")),
        None => letter.header(DEAD_SUBJECT).ok_or_else(|| "does not say where it came from".to_owned()),
    }
}

async fn send_again(log: &EventLog, letter: &StoredMessage, subject: &str) -> Result<(), Messaging> {
    let number = letter.sequence();
    // Another id than the first time, or the stream would take it for a copy; the same when this is tried again.
    let mut headers = Headers::new().with(MESSAGE_ID, format!("replay-{number}"));
    if let Some(id) = letter.header(DEAD_MESSAGE_ID) {
        headers.insert(DEAD_MESSAGE_ID, id);
    }
    log.resend(subject, headers, letter.payload().clone()).await?;
    log.remove(number).await
}
