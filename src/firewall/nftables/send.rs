//! Sends plans to the kernel, each time with more care for what failed, until all of a plan stands or a change is to
//! blame.

use std::collections::BTreeMap;
use std::io;

use super::socket::Socket;
use super::transaction::{Care, Owner, Transaction};
use crate::firewall::plan::{self, Plan, Shape, State, Step};
use crate::firewall::{Change, FirewallError, Refusal};

/// Up to so many addresses are taken out before they are put in, in case they are there: that costs some microseconds
/// each. A transaction that fails costs some milliseconds, as the kernel waits for all packets under way. Of prefixes
/// the plan knows which are there.
const FEW: usize = 1000;

/// Of changes that need not happen together so many go in one transaction. If anybody listens to nftables, in whatever
/// namespace, the kernel holds up to 8 KiB for each element until all of a transaction stands: with 100 000 of them that
/// is most of a gigabyte, and takes ten times as long as in pieces that fit its caches. Between two pieces a hash table can
/// grow, else each element is looked for in all the tables that it has outgrown.
pub(super) const PIECE: usize = 4000;

/// How sending a plan ended.
pub(super) enum Outcome {
    /// All of it stands.
    Done,
    /// None of it stands, because of these changes.
    Refused(Vec<(usize, Refusal)>),
    /// None of it stands: the socket has no room for it.
    TooLarge,
}

/// Tries to make a plan stand, given what stands before it.
type Attempt<'a, R> = dyn FnMut(&State<R>, &Plan<R>) -> Result<Outcome, FirewallError> + 'a;

/// Applies changes to what stands. Where sets go or are emptied, all that goes with it is one transaction, so that nobody is
/// let in meanwhile; with `is_clean` there is nothing to be emptied.
pub(super) fn settle<R: Shape>(
    state: &mut State<R>,
    changes: &[Change<R>],
    is_clean: bool,
    attempt: &mut Attempt<R>,
) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
    let is_element = |change: &Change<R>| matches!(change, Change::Ban { .. } | Change::Unban { .. });
    let stays =
        |change: &Change<R>| is_element(change) || (is_clean && !matches!(change, Change::Close { .. }));
    if changes.len() <= PIECE || !changes.iter().all(stays) {
        return together(state, changes, attempt);
    }
    let mut answers = Vec::with_capacity(changes.len());
    for piece in changes.chunks(PIECE) {
        answers.extend(together(state, piece, attempt)?);
    }
    Ok(answers)
}

/// As one transaction; in halves where the kernel takes no transaction so large.
fn together<R: Shape>(
    state: &mut State<R>,
    changes: &[Change<R>],
    attempt: &mut Attempt<R>,
) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
    let mut too_large = false;
    let answers = plan::settle(state, changes, |state, plan| match attempt(state, plan)? {
        Outcome::Refused(refused) => Ok(refused),
        Outcome::Done => Ok(Vec::new()),
        Outcome::TooLarge => {
            too_large = true;
            Err(self::too_large())
        }
    });
    if too_large && changes.len() > 1 {
        let (first, second) = changes.split_at(changes.len() / 2);
        let mut answers = together(state, first, attempt)?;
        answers.extend(together(state, second, attempt)?);
        return Ok(answers);
    }
    answers
}

/// What is said of [`Outcome::TooLarge`].
pub(super) fn too_large() -> FirewallError {
    FirewallError::Protocol("the transaction is too large for the kernel".to_owned())
}

/// Sends a plan. `build` makes the transaction, given the care for each of the plan's steps and the number of its first
/// message.
///
/// `gentle`: what is put in may be there, and stays as it is then.
pub(super) fn carry_out<R>(
    socket: &mut Socket,
    plan: &Plan<R>,
    gentle: bool,
    build: impl Fn(&[Care], u32) -> Transaction,
) -> Result<Outcome, FirewallError> {
    let few = plan.ops.len() <= FEW;
    let care = plan.ops.iter().map(|op| match op.step {
        Step::Put(_) | Step::Renew(_) if gentle => Care::Gentle,
        _ if few && !op.is_in_tree => Care::Anew,
        _ => Care::New,
    });
    let mut care: Vec<Care> = care.collect();
    loop {
        let transaction = build(&care, socket.number());
        if transaction.is_empty() {
            return Ok(Outcome::Done);
        }
        if !socket.reserve(transaction.writer().bytes().len())? {
            return Ok(Outcome::TooLarge);
        }
        let failed = socket.commit(transaction.writer())?;
        if failed.is_empty() {
            return Ok(Outcome::Done);
        }
        let refused = judge(&failed, &transaction, plan, &mut care)?;
        if !refused.is_empty() {
            return Ok(Outcome::Refused(refused));
        }
    }
}

/// Finds out who is to blame for failed messages: refuses changes, or asks for more care with some steps.
fn judge<R>(
    failed: &[(u32, i32)],
    transaction: &Transaction,
    plan: &Plan<R>,
    care: &mut [Care],
) -> Result<Vec<(usize, Refusal)>, FirewallError> {
    let mut refused: BTreeMap<usize, Refusal> = BTreeMap::new();
    let mut more_care = Vec::new();
    for &(number, errno) in failed {
        match transaction.owner(number) {
            Owner::Everyone if errno == libc::ENOENT => return Err(FirewallError::Drift),
            Owner::Everyone => return Err(unfit(errno)),
            Owner::Change(change) => {
                refused.entry(change).or_insert_with(|| in_words(errno));
            }
            Owner::Ops(range) => match care[range.start] {
                Care::Gentle | Care::New if errno == libc::EEXIST => more_care.push((range, Care::Anew)),
                Care::Gentle | Care::New | Care::Anew => more_care.push((range, Care::Alone)),
                Care::Alone => {
                    // Whatever comes after the first message of a step finds its set, if that one did.
                    let is_first = transaction.owner(number.wrapping_sub(1)) != Owner::Ops(range.clone());
                    let change = plan.ops[range.start].change;
                    match errno {
                        libc::ENOENT if is_first => return Err(FirewallError::Drift),
                        libc::ENOENT => refused.entry(change).or_insert_with(|| in_words(libc::EEXIST)),
                        _ => refused.entry(change).or_insert_with(|| in_words(errno)),
                    };
                }
            },
        }
    }
    for (range, more) in more_care {
        care[range].fill(more);
    }
    Ok(refused.into_iter().collect())
}

/// Why the kernel takes nothing of it.
fn unfit(errno: i32) -> FirewallError {
    let error = io::Error::from_raw_os_error(errno);
    match errno {
        libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT => FirewallError::TooOld(error),
        _ => error.into(),
    }
}

/// Why the kernel does not take something.
fn in_words(errno: i32) -> Refusal {
    Refusal(match errno {
        libc::EEXIST | libc::ENOTEMPTY => {
            "it overlaps something that another program put into the set".to_owned()
        }
        libc::ENFILE | libc::ENOSPC => "the set is full".to_owned(),
        libc::ENOMEM => "the kernel has no memory left for it".to_owned(),
        libc::ENOENT | libc::EOPNOTSUPP => unfit(libc::EOPNOTSUPP).to_string(),
        _ => format!("the kernel refused it: {}", io::Error::from_raw_os_error(errno)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_told_apart_and_how_to_do_without_it() {
        let switch = "use iptables: `banaction = iptables-multiport`";
        for text in [unfit(libc::EOPNOTSUPP).to_string(), in_words(libc::EOPNOTSUPP).0] {
            assert!(text.contains("Operation not supported") && text.contains(switch), "{text}");
        }
        assert!(!unfit(libc::ENOMEM).to_string().contains(switch));
    }
}
