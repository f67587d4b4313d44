use std::time::Duration;

use actix::prelude::*;

use super::*;
use crate::action::Definition;
use crate::action::lifecycle::{Task, Verdict};
use crate::action::template::{JailFacts, Ticket};
use crate::actor::action::Answer;
use crate::actor::message::Performed;
use crate::id::Id;

/// Notes what it hears.
struct Jail(crossbeam_channel::Sender<(u64, Verdict)>);

impl Actor for Jail {
    type Context = Context<Self>;
}

impl Handler<Performed> for Jail {
    type Result = ();
    fn handle(&mut self, Performed { number, verdict }: Performed, _: &mut Self::Context) {
        let _ = self.0.send((number, verdict));
    }
}

fn perform(file: &str, ban: &str, number: u64, to: Recipient<Performed>) -> Box<Perform> {
    let options = [("actionban", ban), ("actionunban", "true")];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let jail = JailFacts { name: format!("jail{number}").into(), ..JailFacts::default() };
    Box::new(Perform {
        definition: Arc::new(Definition { name: "act".into(), file: file.into(), options }),
        task: Task::Ban,
        ticket: Ticket { id: Some(Id::parse("192.0.2.1")), jail, ..Ticket::default() },
        answer: Answer::new(number, to),
    })
}

/// Hears `count` answers while the system runs.
async fn hear(receiver: crossbeam_channel::Receiver<(u64, Verdict)>, count: usize) -> Vec<(u64, Verdict)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        match receiver.try_recv() {
            Ok(answer) => heard.push(answer),
            Err(_) => actix::clock::sleep(Duration::from_millis(1)).await,
        }
    }
    heard.sort_by_key(|(number, _)| *number);
    heard
}

#[test]
fn each_file_has_one_lane_and_each_task_one_answer() {
    System::new().block_on(async {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let jail = Jail(sender).start();
        let lanes = Arc::new(Lanes::new(None));
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("lock").display().to_string();
        for number in 0..20 {
            // A second one at the same time could not make the folder.
            lanes.push(perform(
                "edit",
                &format!("mkdir {lock} && rmdir {lock}"),
                number,
                jail.clone().recipient(),
            ));
        }
        for number in 20..40 {
            lanes.push(perform(&format!("file{number}"), "exit 4", number, jail.clone().recipient()));
        }
        let heard = hear(receiver, 40).await;
        for (number, verdict) in heard {
            let want = if number < 20 { Ok(()) } else { Err("actionban returned 4".to_owned()) };
            assert_eq!(verdict.result, want, "{number}");
        }
        assert!(lanes.stop(Instant::now() + Duration::from_secs(60)), "nobody works any more");
    });
}

#[test]
fn a_stop_cuts_off_what_runs_and_answers_what_waits() {
    System::new().block_on(async {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let jail = Jail(sender).start();
        let lanes = Arc::new(Lanes::new(None));
        let dir = tempfile::tempdir().unwrap();
        let started = dir.path().join("started");
        let command = format!("touch {}; exec sleep 1000", started.display());
        for number in 0..3 {
            lanes.push(perform("slow", &command, number, jail.clone().recipient()));
        }
        while !started.exists() {
            actix::clock::sleep(Duration::from_millis(1)).await;
        }
        assert!(lanes.stop(Instant::now() + Duration::from_secs(60)));
        lanes.push(perform("late", "true", 3, jail.clone().recipient()));
        let heard: Vec<_> = hear(receiver, 4).await.into_iter().map(|(_, verdict)| verdict.result).collect();
        let stops = Err("the program stops".to_owned());
        assert_eq!(
            heard,
            [Err("actionban cut off by the stop".to_owned()), stops.clone(), stops.clone(), stops]
        );
    });
}
