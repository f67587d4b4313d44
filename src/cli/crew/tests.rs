use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[derive(Debug, Default)]
struct Number {
    value: u64,
    doubled: u64,
}

/// Doubles the first numbers; `fails` is one that cannot be made.
fn doubled(threads: usize, count: u64, fails: Option<u64>) -> (Vec<u64>, Result<(), u64>) {
    let (mut next, mut all) = (0, Vec::new());
    let make = |_| {
        next += 1;
        match next {
            next if Some(next) == fails => Err(next),
            next => Ok((next <= count).then_some(Number { value: next, doubled: 0 })),
        }
    };
    let worker = |_| |number: &mut Number| number.doubled = 2 * number.value;
    let ended = run(make, worker(0), (1..threads).map(worker).collect(), |number| {
        all.push(number.doubled);
        Ok(())
    });
    (all, ended)
}

#[test]
fn all_in_their_order_whoever_works() {
    for threads in [1, 2, 3, 8] {
        for count in [0, 1, 3, 4, 5, 100, 2000] {
            let want: Vec<_> = (1..=count).map(|number| 2 * number).collect();
            assert_eq!(doubled(threads, count, None), (want, Ok(())), "{threads} threads, {count}");
        }
    }
}

#[test]
fn what_was_made_before_a_mistake_is_finished() {
    for threads in [1, 2, 4] {
        for fails in [1, 2, 7, 300] {
            let want: Vec<_> = (1..fails).map(|number| 2 * number).collect();
            assert_eq!(doubled(threads, 1000, Some(fails)), (want, Err(fails)), "{threads} threads, {fails}");
        }
    }
}

fn idle(_: usize) -> impl FnMut(&mut Number) {
    |_| {}
}

#[test]
fn a_mistake_at_the_end_ends_all() {
    for threads in [1, 2, 4] {
        let mut finished = 0;
        let make = |_| Ok(Some(Number::default()));
        let ended = run(make, idle(0), (1..threads).map(idle).collect(), |_| {
            finished += 1;
            if finished == 50 { Err("full") } else { Ok(()) }
        });
        assert_eq!((ended, finished), (Err("full"), 50), "{threads} threads");
    }
}

/// Nobody waits for one who is gone.
#[test]
fn a_panic_of_another_ends_all() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (mut count, mut worked) = (0, 0);
    let make = |_| {
        count += 1;
        Ok((count < 1000).then(Number::default))
    };
    // The last pieces that one does alone are few: then the helper comes to work.
    let own: Box<dyn FnMut(&mut Number) + Send> = Box::new(move |_| {
        worked += 1;
        if worked == 2 * ALONE {
            receiver.recv().unwrap();
        }
    });
    let other: Box<dyn FnMut(&mut Number) + Send> = Box::new(move |_| {
        sender.send(()).unwrap();
        panic!("another");
    });
    let ended = catch_unwind(AssertUnwindSafe(|| run(make, own, vec![other], |_| Ok::<_, ()>(()))));
    assert!(ended.is_err());
}

#[test]
fn turns_are_taken_in_order_while_pieces_are_worked_on() {
    for threads in [1, 2, 4] {
        let (turns, mut next, mut finished) = (Turns::new(Vec::new()), 0..200_u64, 0);
        let make = |_| Ok::<_, ()>(next.next().map(|value| Number { value, doubled: 0 }));
        let worker = |_| {
            |number: &mut Number| {
                let turn = turns.of(usize::try_from(number.value).unwrap());
                turn.take(|taken| taken.push(number.value));
            }
        };
        run(make, worker(0), (1..threads).map(worker).collect(), |_| {
            finished += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!((finished, turns.into_inner()), (200, (0..200).collect()), "{threads} threads");
    }
}

/// Nobody waits for a turn that is never taken.
#[test]
fn a_turn_that_is_given_up_lets_the_others_go_on() {
    let turns = Turns::new(0);
    drop(turns.of(0));
    turns.of(1).take(|taken| *taken += 1);
    assert_eq!(turns.into_inner(), 0);
}
