use proptest::prelude::*;

use super::*;
use crate::action::template::render;
use crate::id::Id;

const NOW: UnixTime = UnixTime::from_secs(5000);

/// An action with all the usual commands; `more` replaces or adds some.
fn machine(more: &[(&str, &str)]) -> Machine {
    let usual = [
        ("actionstart", "START"),
        ("actionstop", "STOP"),
        ("actioncheck", "CHECK"),
        ("actionban", "B <ip>"),
        ("actionunban", "U <ip>"),
        ("actionflush", "FLUSH"),
    ];
    let options = usual.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let definition = Definition { name: "act".into(), file: "act".into(), options: options.collect() };
    Machine::new(Arc::new(definition), true)
}

fn ticket(id: &str) -> Ticket {
    Ticket {
        id: (!id.is_empty()).then(|| Id::parse(id)),
        time: UnixTime::from_secs(1000),
        ..Ticket::default()
    }
}

/// Performs tasks written as `ban 192.0.2.1` or `flush`. A command that begins with one of `fails` fails, each once.
/// What ran, a failed command with `!`; at the end of a task that failed `-`, of one that repaired `+`.
fn play(machine: &mut Machine, tasks: &[&str], fails: &[&str]) -> String {
    let mut fails = fails.to_vec();
    let mut told = Vec::new();
    for task in tasks {
        let (name, id) = task.split_once(' ').unwrap_or((task, ""));
        let task = [
            Task::Start,
            Task::Ban,
            Task::Reban,
            Task::Prolong,
            Task::Unban,
            Task::Flush,
            Task::Check,
            Task::Reload,
            Task::Stop,
        ]
        .into_iter()
        .find(|task| task.name() == name)
        .expect("a task's name");
        let verdict = machine.perform(task, &ticket(id), NOW, &mut |command| {
            let text = render(command.text, command.ticket).text;
            let fails = fails.iter().position(|fail| text.starts_with(fail)).map(|at| fails.remove(at));
            told.push(if fails.is_some() { format!("{text}!") } else { text });
            if fails.is_some() { Err("it fails".to_owned()) } else { Ok(()) }
        });
        if verdict.result.is_err() {
            told.push("-".to_owned());
        }
        if !verdict.repaired.is_empty() {
            told.push("+".to_owned());
        }
    }
    told.join(" | ")
}

/// The order of commands was measured with Fail2Ban 1.0.2, where no row says otherwise.
#[test]
fn without_families() {
    for (more, tasks, fails, want) in [
        (
            &[][..],
            &["start", "ban 192.0.2.1", "unban 192.0.2.1", "stop"][..],
            &[][..],
            "START | B 192.0.2.1 | U 192.0.2.1 | STOP",
        ),
        (
            &[],
            &["start", "ban 192.0.2.1", "flush", "unban 192.0.2.1", "stop"],
            &[],
            "START | B 192.0.2.1 | FLUSH | STOP",
        ),
        (&[], &["start", "unban 192.0.2.1", "stop"], &[], "START | STOP"),
        (&[], &["start", "stop", "stop"], &[], "START | STOP"),
        (
            &[("actionstart", ""), ("actionstop", ""), ("actionban", " ")],
            &["start", "ban 192.0.2.1", "stop"],
            &[],
            "",
        ),
        // The families that were used, when a command asks for them.
        (
            &[
                ("actionstart", "START <family>|<time>|<ip>"),
                ("actionstop", "STOP <family>"),
                ("actionflush", "FLUSH <family>"),
            ],
            &["start", "ban 192.0.2.1", "ban 2001:db8::1", "flush", "ban 192.0.2.1", "stop"],
            &[],
            "START |5000| | B 192.0.2.1 | B 2001:db8::1 | FLUSH inet4 | FLUSH inet6 | B 192.0.2.1 | STOP  | STOP inet4",
        ),
        (
            &[("actionstart_on_demand", "1")],
            &["start", "ban 192.0.2.1", "ban 2001:db8::1"],
            &[],
            "START | B 192.0.2.1 | B 2001:db8::1",
        ),
        // The others.
        (&[("actionreban", "RB <ip>")], &["start", "reban 192.0.2.1"], &[], "START | RB 192.0.2.1"),
        (&[], &["start", "reban 192.0.2.1"], &[], "START | B 192.0.2.1"),
        (
            &[("actionprolong", "P <ip>")],
            &["start", "prolong 192.0.2.1"],
            &["P"],
            "START | P 192.0.2.1! | CHECK | P 192.0.2.1",
        ),
        (&[], &["start", "prolong 192.0.2.1"], &[], "START"),
        (&[("actionreload", "RELOAD")], &["start", "reload"], &[], "START | RELOAD"),
        (&[], &["start", "ban 192.0.2.1", "stop"], &["STOP"], "START | B 192.0.2.1 | STOP! | STOP | -"),
        (&[], &["start", "ban some user", "unban some user"], &[], "START | B some user | U some user"),
    ] {
        assert_eq!(play(&mut machine(more), tasks, fails), want, "{more:?} {tasks:?} {fails:?}");
    }
}

#[test]
fn checks_and_repairs() {
    for (more, tasks, fails, want) in [
        (&[][..], &["start", "ban 192.0.2.1"][..], &["B"][..], "START | B 192.0.2.1! | CHECK | B 192.0.2.1"),
        (&[("actioncheck", "")], &["start", "ban 192.0.2.1"], &["B"], "START | B 192.0.2.1! | B 192.0.2.1"),
        (
            &[("actioncheck", "")],
            &["start", "ban 192.0.2.1"],
            &["B", "B"],
            "START | B 192.0.2.1! | B 192.0.2.1! | -",
        ),
        // Fail2Ban restores nothing here, but only checks again.
        (
            &[],
            &["start", "ban 192.0.2.1"],
            &["B", "CHECK"],
            "START | B 192.0.2.1! | CHECK! | STOP | START | CHECK | B 192.0.2.1 | +",
        ),
        (
            &[],
            &["start", "ban 192.0.2.1"],
            &["B", "CHECK", "STOP"],
            "START | B 192.0.2.1! | CHECK! | STOP! | START | CHECK | B 192.0.2.1 | +",
        ),
        (
            &[],
            &["start", "ban 192.0.2.1", "ban 192.0.2.2"],
            &["B", "CHECK", "CHECK"],
            "START | B 192.0.2.1! | CHECK! | STOP | START | CHECK! | - | + | START | B 192.0.2.2",
        ),
        (
            &[("actionrepair", "REPAIR")],
            &["start", "ban 192.0.2.1"],
            &["B", "CHECK"],
            "START | B 192.0.2.1! | CHECK! | REPAIR | CHECK | B 192.0.2.1 | +",
        ),
        (
            &[("actionrepair", "REPAIR")],
            &["start", "ban 192.0.2.1"],
            &["B", "CHECK", "REPAIR"],
            "START | B 192.0.2.1! | CHECK! | REPAIR! | - | +",
        ),
        (
            &[],
            &["start", "ban 192.0.2.1", "unban 192.0.2.1"],
            &["U"],
            "START | B 192.0.2.1 | U 192.0.2.1! | CHECK | U 192.0.2.1",
        ),
        (
            &[],
            &["start", "ban 192.0.2.1", "unban 192.0.2.1"],
            &["U", "CHECK"],
            "START | B 192.0.2.1 | U 192.0.2.1! | CHECK! | -",
        ),
        (
            &[("actionrepair_on_unban", "true")],
            &["start", "ban 192.0.2.1", "unban 192.0.2.1"],
            &["U", "CHECK"],
            "START | B 192.0.2.1 | U 192.0.2.1! | CHECK! | STOP | START | CHECK | U 192.0.2.1 | +",
        ),
        (&[], &["start", "ban 192.0.2.1", "check"], &[], "START | B 192.0.2.1 | CHECK"),
        (&[], &["start", "check"], &["CHECK"], "START | CHECK! | STOP | START | CHECK | +"),
        // A start that fails is tried again before the next ban, which is made all the same.
        (&[("actioncheck", "")], &["start", "ban 192.0.2.1"], &["START"], "START! | - | START | B 192.0.2.1"),
        (
            &[("actioncheck", "")],
            &["start", "ban 192.0.2.1"],
            &["START", "START"],
            "START! | - | START! | B 192.0.2.1",
        ),
        // What an earlier run left is not started again, and is no failure.
        (&[], &["start", "ban 192.0.2.1", "stop"], &["START"], "START! | CHECK | B 192.0.2.1 | STOP"),
    ] {
        assert_eq!(play(&mut machine(more), tasks, fails), want, "{more:?} {tasks:?} {fails:?}");
    }
}

#[test]
fn with_families() {
    let families = [
        ("set", "four"),
        ("set?family=inet6", "six"),
        ("actionstart", "START <set>"),
        ("actionstop", "STOP <set>"),
        ("actioncheck", "CHECK <set>"),
        ("actionflush", "FLUSH <set>"),
        ("actionreload", "RELOAD <set>"),
    ];
    let same = [("actionstart", "S"), ("actionstop", "T"), ("actionflush", "F")];
    for (more, tasks, fails, want) in [
        (
            &[][..],
            &[
                "start",
                "unban 192.0.2.9",
                "ban 192.0.2.1",
                "ban 192.0.2.2",
                "flush",
                "flush",
                "ban 2001:db8::1",
                "flush",
                "unban 192.0.2.1",
                "reload",
                "stop",
                "stop",
            ][..],
            &[][..],
            "START four | B 192.0.2.1 | B 192.0.2.2 | FLUSH four | START six | B 2001:db8::1 | FLUSH six | \
             RELOAD four | RELOAD six | STOP four | STOP six",
        ),
        (
            &[],
            &["ban 192.0.2.1", "stop", "ban 192.0.2.1"],
            &[],
            "START four | B 192.0.2.1 | STOP four | START four | B 192.0.2.1",
        ),
        (&[], &["ban some user", "stop"], &[], "START four | B some user | STOP four"),
        (
            &[("actionstart_on_demand", "false")],
            &["start", "ban 192.0.2.1"],
            &[],
            "START four | START six | B 192.0.2.1",
        ),
        // One command for both families runs once.
        (
            &same,
            &["start", "ban 192.0.2.1", "ban 2001:db8::1", "flush", "stop"],
            &[],
            "S | B 192.0.2.1 | B 2001:db8::1 | F | T",
        ),
        (
            &same,
            &["ban 192.0.2.1", "ban 2001:db8::1", "stop"],
            &["T"],
            "S | B 192.0.2.1 | B 2001:db8::1 | T! | T | -",
        ),
        (
            &[("actionban?family=inet6", "B6 <ip>"), ("actionunban?family=inet6", "")],
            &["ban 2001:db8::1", "unban 2001:db8::1"],
            &[],
            "START six | B6 2001:db8::1",
        ),
        // A start on demand that fails costs the ban; the next one tries again.
        (
            &[("actioncheck", "")],
            &["ban 192.0.2.1", "ban 192.0.2.2"],
            &["START"],
            "START four! | - | START four | B 192.0.2.2",
        ),
        (
            &[],
            &["ban 192.0.2.1", "ban 2001:db8::1", "ban 192.0.2.2", "ban 2001:db8::3", "stop"],
            &["B 192.0.2.2", "CHECK"],
            "START four | B 192.0.2.1 | START six | B 2001:db8::1 | \
             B 192.0.2.2! | CHECK four! | STOP four | START four | CHECK four | B 192.0.2.2 | + | \
             B 2001:db8::3 | STOP four | STOP six",
        ),
        (
            &[],
            &["ban 192.0.2.1", "ban 2001:db8::1", "check", "stop"],
            &["CHECK four", "CHECK four"],
            "START four | B 192.0.2.1 | START six | B 2001:db8::1 | \
             CHECK four! | STOP four | START four | CHECK four! | CHECK six | - | + | STOP four | STOP six",
        ),
    ] {
        let more: Vec<_> = families.iter().chain(more).copied().collect();
        assert_eq!(play(&mut machine(&more), tasks, fails), want, "{more:?} {tasks:?} {fails:?}");
    }
}

#[test]
fn what_enforces() {
    for (more, want) in [
        (&[][..], true),
        (&[("actionunban", "")], false),
        (&[("actionban", " \n")], false),
        (&[("actionunban", ""), ("actionunban?family=inet6", "x")], true),
    ] {
        assert_eq!(machine(more).definition.enforces(), want, "{more:?}");
    }
}

#[test]
fn a_command_that_cannot_be_made_is_an_error_and_runs_nothing() {
    let mut endless = machine(&[("actionban", "<x>"), ("x", "<x>")]);
    assert_eq!(play(&mut endless, &["start", "ban 192.0.2.1"], &[]), "START | -");
}

proptest! {
    /// Whatever fails: nothing panics, a ban that is no error ran to success last, and a stop leaves nothing behind.
    #[test]
    fn any_order_with_any_failure(
        tasks in proptest::collection::vec(0..9_usize, 1..30),
        failures in proptest::collection::vec(any::<bool>(), 60),
        conditional in any::<bool>(),
    ) {
        let more = if conditional { &[("x?family=inet6", "1"), ("actionstart", "START <family>")][..] } else { &[] };
        let mut machine = machine(more);
        let mut failures = failures.into_iter();
        for task in tasks {
            let task = [
                Task::Start, Task::Ban, Task::Reban, Task::Prolong, Task::Unban, Task::Flush, Task::Check,
                Task::Reload, Task::Stop,
            ][task];
            let mut last = Ok(());
            let mut count = 0;
            let verdict = machine.perform(task, &ticket("192.0.2.1"), NOW, &mut |command| {
                count += 1;
                let fails = failures.next().unwrap_or(false);
                last = if fails { Err(command.what.to_owned()) } else { Ok(()) };
                last.clone()
            });
            prop_assert!(count <= 8, "{:?} took {} commands", task, count);
            if task == Task::Ban && verdict.result.is_ok() {
                prop_assert!(last.is_ok());
            }
            if task == Task::Stop {
                prop_assert!(machine.started.is_empty() && machine.used.is_empty());
            }
        }
    }
}
