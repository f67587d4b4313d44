//! Hosts of those who are logged in are not banned; those that are banned stay so, and it is said.

use super::*;
use crate::ignore::{Login, SpareLogins};

const ADMIN: &str = "198.51.100.7";
const WHY: &str = "root is logged in from 198.51.100.7 (session 5, pts/0)";

fn logins(hosts: &[(&str, &str)]) -> Arc<[Login]> {
    let login = |(host, user): &(&str, &str)| Login {
        host: host.parse().unwrap(),
        user: (*user).into(),
        place: "session 5, pts/0".into(),
    };
    hosts.iter().map(login).collect()
}

fn sparing(logins: SpareLogins) -> JailOptions {
    JailOptions { ignore: IgnoreOptions { logins, ..options().ignore }, ..options() }
}

fn three(jail: &mut Jail, id: &str, now: i64) -> Vec<String> {
    (0..3).flat_map(|_| fail(jail, id, now, now)).filter(|word| !word.starts_with("found")).collect()
}

#[test]
fn a_login_keeps_its_host_from_being_banned_while_it_lasts() {
    let mut jail = Jail::new(&sparing(SpareLogins::Everybody)).unwrap();
    assert_eq!(say(&jail.set_logins(logins(&[(ADMIN, "root")]))), none());
    assert_eq!(three(&mut jail, ADMIN, 0), [format!("spared {ADMIN} is not banned: {WHY}")]);
    assert_eq!(three(&mut jail, ADMIN, 1), none(), "it is said once in a while");
    assert_eq!(three(&mut jail, "198.51.100.0/24", 2).len(), 1, "nor a prefix with it");
    assert_eq!(three(&mut jail, "198.51.100.8", 2), ["ban 198.51.100.8 2 +10m"]);
    assert_eq!((jail.totals().failed, jail.totals().spared, jail.totals().ignored), (12, 3, 0));
    let shown: Vec<_> = jail.spared().map(ToString::to_string).collect();
    assert_eq!(shown[0], format!("{ADMIN} is not banned: {WHY} (2 times)"));
    assert_eq!(shown.len(), 2);

    // By hand only with force.
    let refused = jail.ban(Id::parse(ADMIN), None, false, at(3)).unwrap_err();
    assert_eq!(refused.to_string(), WHY);
    let refused = jail.ban(Id::parse("198.51.0.0/16"), None, false, at(3)).unwrap_err();
    assert_eq!(refused.to_string(), format!("198.51.0.0/16 is too wide: {WHY}"));

    // He has left.
    assert_eq!(say(&jail.set_logins(logins(&[]))), none());
    assert_eq!(jail.spared().count(), 0);
    assert_eq!(fail(&mut jail, ADMIN, 9, 9), [format!("found {ADMIN} 9")], "what was spared counts no more");
    assert_eq!(
        three(&mut jail, ADMIN, 10),
        [format!("ban {ADMIN} 10 +10m"), format!("already {ADMIN} 10")][..1]
    );
    assert_eq!(jail.totals().spared, 3);
}

#[test]
fn a_login_lifts_no_ban_and_that_is_said_once() {
    let mut jail = Jail::new(&sparing(SpareLogins::Everybody)).unwrap();
    three(&mut jail, ADMIN, 0);
    let both = [(ADMIN, "root"), ("203.0.113.9", "root")];
    assert_eq!(say(&jail.set_logins(logins(&both))), [format!("shut {ADMIN}: {WHY}")]);
    assert_eq!(say(&jail.set_logins(logins(&both[..1]))), none());
    assert_eq!(jail.shut().map(|(host, _)| host.to_string()).collect::<Vec<_>>(), [ADMIN]);
    assert_eq!(three(&mut jail, ADMIN, 100).len(), 1, "spared: its ban gets no longer");
    assert_eq!(jail.banned(&Id::parse(ADMIN)).unwrap().until(), Some(at(600)));
    jail.unban(&Id::parse(ADMIN));
    assert_eq!(jail.shut().count(), 0);
}

#[test]
fn whose_logins_count_is_the_jails_to_say() {
    for (spared, count) in [
        (SpareLogins::Nobody, 0),
        (SpareLogins::Everybody, 1),
        (SpareLogins::Users(vec!["anna".into()]), 0),
        (SpareLogins::Users(vec!["root".into()]), 1),
    ] {
        let mut jail = jail();
        jail.set_logins(logins(&[(ADMIN, "root")]));
        jail.retune(&sparing(spared.clone())).unwrap();
        three(&mut jail, ADMIN, 0);
        assert_eq!(jail.totals().spared, count, "{spared:?}");
        assert_eq!(jail.banned(&Id::parse(ADMIN)).is_some(), count == 0, "{spared:?}");
    }
}
