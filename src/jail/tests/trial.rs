//! Options on trial: who was banned by them alone is let in when they do not stay.

use super::*;

fn lower(max_retry: u32) -> JailOptions {
    let tracker = TrackerOptions { max_retry, ..options().tracker };
    JailOptions { tracker, ..options() }
}

fn banned(jail: &Jail) -> String {
    jail.ids().map(|id| id.to_string().replace("198.51.100.", "")).collect::<Vec<_>>().join(" ")
}

/// So many failures at once of 198.51.100.`host`.
fn fails(jail: &mut Jail, host: u8, times: u32) {
    for _ in 0..times {
        fail(jail, &format!("198.51.100.{host}"), 0, 0);
    }
}

fn manual(jail: &mut Jail, host: u8) {
    jail.ban(Id::parse(&format!("198.51.100.{host}")), None, false, at(0)).unwrap();
}

#[test]
fn a_lower_limit_is_taken_back() {
    let mut jail = jail();
    fails(&mut jail, 1, 3);
    fails(&mut jail, 2, 1);
    jail.begin_trial();
    jail.retune(&lower(2)).unwrap();
    fails(&mut jail, 3, 2);
    fails(&mut jail, 2, 1);
    manual(&mut jail, 4);
    jail.begin_trial();
    jail.retune(&lower(1)).unwrap();
    fails(&mut jail, 5, 1);
    assert_eq!(banned(&jail), "1 3 2 4 5");
    jail.retune(&options()).unwrap();
    let lifted = say(&jail.undo_trial());
    assert_eq!(lifted, ["unban 198.51.100.3", "unban 198.51.100.2", "unban 198.51.100.5"]);
    assert_eq!(banned(&jail), "1 4", "from before, and by hand");
    fails(&mut jail, 6, 2);
    assert_eq!(banned(&jail), "1 4");
    fails(&mut jail, 6, 1);
    assert_eq!(banned(&jail), "1 4 6");
    assert_eq!(jail.undo_trial(), []);
}

#[test]
fn what_stays_lifts_nothing() {
    let mut jail = jail();
    jail.begin_trial();
    jail.retune(&lower(1)).unwrap();
    fails(&mut jail, 1, 1);
    jail.end_trial();
    assert_eq!(jail.undo_trial(), []);
    assert_eq!(banned(&jail), "1");
}

/// What differs, how, and who stays banned.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Jail), &'a str);

#[test]
fn only_bans_that_would_not_have_been_before_are_lifted() {
    let longer = |jail: &mut Jail| {
        let other = JailOptions { ban_time: Duration::from_secs(9).into(), enforced: false, ..options() };
        jail.retune(&other).unwrap();
    };
    let other_ignore = |jail: &mut Jail| {
        let other =
            JailOptions { ignore: IgnoreOptions { own: true, ..IgnoreOptions::default() }, ..options() };
        jail.retune(&other).unwrap();
    };
    let more = |jail: &mut Jail| _ = jail.retune(&lower(4)).unwrap();
    let same = |jail: &mut Jail| _ = jail.retune(&options()).unwrap();
    let other_lines = |jail: &mut Jail| {
        jail.retune(&options()).unwrap();
        jail.tries_other_lines();
    };
    let changes: [Change<'_>; 5] = [
        ("nothing", &same, "7"),
        ("how long and where", &longer, "7"),
        ("a higher limit", &more, "7"),
        ("who is ignored", &other_ignore, ""),
        ("what is read", &other_lines, ""),
    ];
    for (what, change, want) in changes {
        let mut jail = jail();
        jail.begin_trial();
        change(&mut jail);
        fails(&mut jail, 7, 4);
        jail.retune(&options()).unwrap();
        jail.undo_trial();
        assert_eq!(banned(&jail), want, "{what}");
    }
}

#[test]
fn a_jail_that_is_started_anew_goes_on_with_its_trial() {
    let mut jail = Jail::new(&lower(1)).unwrap();
    let ban = |host: u8, second, failures| Ban {
        id: Id::parse(&format!("198.51.100.{host}")),
        time: at(second),
        sentence: options().ban_time,
        count: 1,
        failures,
        lines: Vec::new(),
        data: Vec::new(),
        restored: false,
    };
    let bans = vec![ban(1, -9, 3), ban(2, 0, 1), ban(3, 0, 0)];
    jail.restore(Remembered { bans, ..Remembered::default() }, at(5));
    jail.resume_trial(options(), at(-1));
    // It reads again what is not on disk: also from before.
    fail(&mut jail, "198.51.100.4", -9, 5);
    fail(&mut jail, "198.51.100.5", 1, 5);
    assert_eq!(banned(&jail), "1 2 3 4 5");
    jail.retune(&options()).unwrap();
    assert_eq!(say(&jail.undo_trial()), ["unban 198.51.100.2", "unban 198.51.100.5"]);
}
