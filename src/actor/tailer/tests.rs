use std::fs::OpenOptions;
use std::io::Write as _;

use super::*;
use crate::actor::guard::Child;
use crate::actor::message::Died;
use crate::source::Start;

/// Hears what the tailer's guard has to say.
struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<Died> for Nobody {
    type Result = ();
    fn handle(&mut self, _: Died, _: &mut Self::Context) {}
}

/// A jail that keeps what it gets.
struct Keeps(Rc<RefCell<Vec<u8>>>);

impl Actor for Keeps {
    type Context = Context<Self>;
}

impl Handler<Lines> for Keeps {
    type Result = ();
    fn handle(&mut self, Lines { block, .. }: Lines, _: &mut Self::Context) {
        self.0.borrow_mut().extend_from_slice(&block.text);
    }
}

/// Waits until the jail has so many bytes: the tailer's tick misses nothing.
async fn has(read: &RefCell<Vec<u8>>, bytes: usize) {
    while read.borrow().len() < bytes {
        actix::clock::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn every_line_comes_once_however_often_there_is_one() {
    System::new().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let alive = Alive { child: Child::Tailer, life: 0, tell: Nobody.start().recipient() };
        let read = Rc::new(RefCell::new(Vec::new()));
        let tailer = TailerActor::new(alive).start();
        let wish = Subscribe {
            jail: "sshd".into(),
            generation: 1,
            patterns: vec![(path.to_str().unwrap().to_owned(), Start::Beginning.into())],
            find_time: Duration::from_secs(600),
            cursors: Vec::new(),
            journal: None,
            dates: None,
            scanner: None,
            to: Keeps(read.clone()).start().recipient(),
        };
        tailer.send(wish).await.unwrap();
        let mut written = Vec::new();
        // Seldom, so often that the files are looked at by the clock, and seldom again.
        for (lines, pause) in [(3, Some(5)), (3000, None), (1, Some(200)), (3, Some(5))] {
            for _ in 0..lines {
                let line = format!("line {}\n", written.len());
                log.write_all(line.as_bytes()).unwrap();
                written.extend_from_slice(line.as_bytes());
                match pause {
                    Some(pause) => actix::clock::sleep(Duration::from_millis(pause)).await,
                    None => tokio::task::yield_now().await,
                }
            }
            has(&read, written.len()).await;
        }
        // More at once than may be on its way to a jail: answers have to make room.
        let much = "x".repeat(1023) + "\n";
        let much = much.repeat(3 * 1024);
        log.write_all(much.as_bytes()).unwrap();
        written.extend_from_slice(much.as_bytes());
        has(&read, written.len()).await;
        assert!(*read.borrow() == written);
    });
}
