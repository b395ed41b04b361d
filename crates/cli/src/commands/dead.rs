use clap::{Args, Subcommand};
use leat_contract::AssetRole;
use leat_contract::headers::{
    DEAD_ATTEMPTS, DEAD_MESSAGE_ID, DEAD_REASON, DEAD_SEQUENCE, DEAD_STREAM, DEAD_SUBJECT, DEAD_TRUNCATED,
    MESSAGE_ID,
};
use leat_messaging::{EventLog, Headers, Position, StoredMessage};
use serde_json::json;

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Dead letters that are read at once, the oldest first.
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
    let mut follower = log.follow(&session.subjects.dead_letter_all(), Position::Beginning);
    let letters = follower.take_stored(LETTERS_MAX).await?;
    match dead {
        Dead::Ls => list(&session, &letters),
        Dead::Replay(replay) => self::replay(&session, &log, &letters, &replay).await,
    }
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

async fn replay(
    session: &Session,
    log: &EventLog,
    letters: &[StoredMessage],
    replay: &Replay,
) -> Result<(), Error> {
    let missing =
        replay.numbers.iter().find(|number| letters.iter().all(|letter| letter.sequence() != **number));
    if let Some(number) = missing {
        let hint = "`leat dead ls` shows those there are".to_owned();
        return Err(Error::Unknown { what: "dead letter", name: number.to_string(), hint });
    }
    let is_meant = |letter: &&StoredMessage| replay.all || replay.numbers.contains(&letter.sequence());
    let mut sent = Vec::new();
    for letter in letters.iter().filter(is_meant) {
        send_again(log, letter).await?;
        sent.push(letter.sequence());
    }
    if session.is_json() {
        return output::json(&json!({ "replayed": sent }));
    }
    output::line(&format!("{} sent again", sent.len()));
    Ok(())
}

async fn send_again(log: &EventLog, letter: &StoredMessage) -> Result<(), Error> {
    let number = letter.sequence();
    if let Some(bytes) = letter.header(DEAD_TRUNCATED) {
        let text = format!("letter {number} was kept without its content of {bytes} bytes; send it anew");
        return Err(Error::Usage(text));
    }
    let Some(subject) = letter.header(DEAD_SUBJECT) else {
        return Err(Error::Usage(format!("letter {number} does not say where it came from")));
    };
    // Another id than the first time, or the stream would take it for a copy; the same when this is tried again.
    let headers = Headers::new().with(MESSAGE_ID, format!("replay-{number}"));
    log.resend(subject, headers, letter.payload().clone()).await?;
    Ok(log.remove(number).await?)
}
