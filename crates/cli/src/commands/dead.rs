use clap::{Args, Subcommand};
use leat_contract::AssetRole;
use leat_contract::headers::{
    DEAD_ATTEMPTS, DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SEQUENCE, DEAD_STREAM, DEAD_SUBJECT, DEAD_TRUNCATED,
    MESSAGE_ID,
};
use leat_messaging::{EventLog, Follower, Headers, Position, StoredMessage};
use serde_json::json;

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Dead letters that are read at once.
const LETTERS_MAX: usize = 10_000;

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
            let letters = newest(&session, &log).await?;
            list(&session, &letters)
        }
        Dead::Replay(Replay { all: true, .. }) => {
            let mut replay = Replayed::default();
            replay.all(&session, &log).await?;
            replay.tell(&session)
        }
        Dead::Replay(Replay { numbers, .. }) => {
            let mut letters = Vec::with_capacity(numbers.len());
            for number in numbers {
                letters.push(letter(&session, &log, number).await?);
            }
            let mut replay = Replayed::default();
            replay.letters(&log, &letters).await?;
            replay.tell(&session)
        }
    }
}

/// The newest letters, as many as are read at once, and a word about older ones.
async fn newest(session: &Session, log: &EventLog) -> Result<Vec<StoredMessage>, Error> {
    let (kept, last) = (log.messages().await?, log.last_sequence().await?);
    let most = LETTERS_MAX as u64;
    let from = if kept <= most { Position::Beginning } else { Position::After(last.saturating_sub(most)) };
    let letters = follow(session, log, from).take_stored(LETTERS_MAX).await?;
    let older = kept.saturating_sub(letters.len() as u64);
    if older > 0 {
        output::say(&format!("{older} older ones are not shown"));
    }
    Ok(letters)
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

fn list(session: &Session, letters: &[StoredMessage]) -> Result<(), Error> {
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
    /// Every letter that is there now. What is given up once more meanwhile is not sent a second time.
    async fn all(&mut self, session: &Session, log: &EventLog) -> Result<(), Error> {
        let last = log.last_sequence().await?;
        let mut read_to = 0;
        while read_to < last {
            let mut page = follow(session, log, Position::After(read_to)).take_stored(LETTERS_MAX).await?;
            page.retain(|letter| letter.sequence() <= last);
            let Some(end) = page.last() else { break };
            read_to = end.sequence();
            self.letters(log, &page).await?;
        }
        Ok(())
    }

    async fn letters(&mut self, log: &EventLog, letters: &[StoredMessage]) -> Result<(), Error> {
        for letter in letters {
            match origin(letter) {
                Ok(subject) => {
                    send_again(log, letter, subject).await?;
                    self.sent.push(letter.sequence());
                }
                Err(reason) => self.kept.push((letter.sequence(), reason)),
            }
        }
        Ok(())
    }

    fn tell(self, session: &Session) -> Result<(), Error> {
        if session.is_json() {
            output::json(&json!({ "replayed": self.sent }))?;
        } else {
            output::line(&format!("{} sent again", self.sent.len()));
        }
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

async fn send_again(log: &EventLog, letter: &StoredMessage, subject: &str) -> Result<(), Error> {
    let number = letter.sequence();
    // Another id than the first time, or the stream would take it for a copy; the same when this is tried again.
    let headers = Headers::new().with(MESSAGE_ID, format!("replay-{number}"));
    log.resend(subject, headers, letter.payload().clone()).await?;
    Ok(log.remove(number).await?)
}
