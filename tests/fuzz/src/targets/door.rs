//! The door for messages: what was tampered with after it was signed does not pass.

use arbitrary::{Arbitrary, Unstructured};
use daruma_engine::admit;
use daruma_types::{Message, ReplicaId, codec};

use super::patches::{Patch, patched};
use crate::chain::Door;
use crate::recording::recorded;

/// A message that was really sent is changed, and sent by anyone; and one of any form is.
pub(super) fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let _ = tampered(&mut u);
    if let (Ok(from), Ok(message)) = (ReplicaId::arbitrary(&mut u), Message::arbitrary(&mut u)) {
        let _ = admit(from, message, &Door { reader: None });
    }
}

fn tampered(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let sent = recorded();
    let (from, original) = &sent[usize::from(u16::arbitrary(u)?) % sent.len()];
    let by = Option::<ReplicaId>::arbitrary(u)?.unwrap_or(*from);
    let patches = Vec::<Patch>::arbitrary(u)?;
    let door = Door { reader: None };
    let admitted = admit(*from, original.clone(), &door);
    assert!(admitted.is_ok(), "what an engine sent is refused: {admitted:?}");
    let Ok(message) = codec::decode::<Message>(&patched(codec::encode(original), &patches)) else {
        return Ok(());
    };
    let same = by == *from && message == *original;
    if admit(by, message.clone(), &door).is_ok() && !same && binds(&message, by == *from) {
        // A list may be cut, and its parts are as good as before.
        assert!(part_of(&message, original), "{by} passes with {message:?} for {original:?}");
    }
    Ok(())
}

/// Whether the message bears signatures on all it says, and on who says it.
fn binds(message: &Message, same_sender: bool) -> bool {
    match message {
        // The connection alone says whose they are; or anyone may pass them on.
        Message::Token { .. }
        | Message::TokenReturn { .. }
        | Message::Summary(_)
        | Message::Coordination(_)
        | Message::Want(_)
        | Message::Lacks(_)
        | Message::Body(_)
        | Message::SnapshotWant { .. }
        | Message::SnapshotChunk { .. }
        | Message::Fetch { .. } => false,
        Message::Demand(_) | Message::Report(_) | Message::Vote(_) | Message::Attestation(_) => {
            true
        }
        Message::Leave(_)
        | Message::Enter(_)
        | Message::NewView(_)
        | Message::PrePrepare(_)
        | Message::Certificate(_)
        | Message::Blocks(_)
        | Message::StateCertificates(_)
        | Message::SnapshotOffer(_)
        | Message::Transactions(_) => same_sender,
    }
}

fn part_of(message: &Message, original: &Message) -> bool {
    if let (Message::Blocks(some), Message::Blocks(all)) = (message, original) {
        return some.iter().all(|one| all.contains(one));
    }
    if let (Message::StateCertificates(some), Message::StateCertificates(all)) = (message, original)
    {
        // Fewer signers are enough, down to f+1; what is said must be the same.
        return some.iter().all(|one| all.iter().any(|other| other.statement == one.statement));
    }
    if let (Message::SnapshotOffer(one), Message::SnapshotOffer(other)) = (message, original) {
        // Fewer signers are enough for both certificates.
        return one.header == other.header && one.statement() == other.statement();
    }
    if let (Message::Transactions(some), Message::Transactions(all)) = (message, original) {
        return some.iter().all(|one| all.contains(one));
    }
    false
}
