//! Own addresses and gateways are never banned automatically; what seems to be one, or goes on in spite of a ban, is said.

use super::*;

#[test]
fn own_addresses_and_gateways_are_never_banned_automatically() {
    let ignore = IgnoreOptions { own: false, ..options().ignore };
    let mut jail = jail();
    jail.retune(&JailOptions { ignore, ..options() }).unwrap();
    for (id, why) in [("192.0.2.1", "an address of this host"), ("192.0.2.254", "the default gateway")] {
        let spared = format!("spared {id} is not banned: {id} is {why}");
        let found = format!("found {id} 0");
        let mut all: Vec<_> = (0..3).flat_map(|_| fail(&mut jail, id, 0, 0)).collect();
        all.retain(|word| !word.starts_with("masked"));
        assert_eq!(all, [found.clone(), found.clone(), found, spared.clone()], "{id}");
        let mut effects = Vec::new();
        jail.charge(&Id::parse(id), &["a", "b", "c"].map(Arc::from), at(600), &mut effects);
        assert_eq!(say(&effects).join(" "), format!("{spared} (2 times)"), "also when a command tells of it");
        let ban = |failures| Ban {
            id: Id::parse(id),
            time: at(0),
            sentence: options().ban_time,
            count: 1,
            failures,
            lines: Vec::new(),
            data: Vec::new(),
            restored: false,
        };
        let restored = |jail: &mut Jail, failures| {
            say(&jail.restore(Remembered { bans: vec![ban(failures)], ..Remembered::default() }, at(1)))
        };
        assert_eq!(restored(&mut jail, 3), [format!("ignored {id} by {id} is {why}")]);
        assert_eq!(restored(&mut jail, 0), [format!("restore {id} 0 +10m")], "an operator's");
    }
    for _ in 0..3 {
        fail(&mut jail, "192.0.2.77", 2, 2);
    }
    assert_eq!(say(&jail.spare()), none());
    jail.set_gateways(vec![net("192.0.2.77")]);
    assert_eq!(say(&jail.spare()), ["unban 192.0.2.77"], "the gateway is another one now");
}

#[test]
fn it_is_said_when_all_seem_to_be_one() {
    let mut jail = jail();
    for (id, want) in [("192.0.2.254", 1), ("192.0.2.254", 1), ("192.0.2.254", 2), ("192.0.2.254", 1)] {
        assert_eq!(fail(&mut jail, id, 0, 0).len(), want);
    }
    let masked = Masked { cause: Cause::Gateway, address: net("192.0.2.254"), failures: 4, of: 4 };
    assert_eq!(jail.masked(), [masked]);
    fail(&mut jail, "192.0.2.2", 0, 0);
    assert_eq!(jail.masked(), []);
}

#[test]
fn it_is_said_once_when_a_ban_does_not_keep_somebody_out() {
    let id = "198.51.100.7";
    let mut jail = jail();
    jail.restore(Remembered::default(), at(0));
    let fails = |jail: &mut Jail, time| -> Vec<String> {
        let all = (0..3).flat_map(|_| fail(jail, id, time, time));
        all.filter(|word| word.starts_with("futile")).collect()
    };
    assert_eq!(fails(&mut jail, 10), none());
    assert_eq!(fails(&mut jail, 100), none(), "no firewall has confirmed the ban");
    jail.acknowledge(net(id), Ok(()), &mut Vec::new());
    assert_eq!(fails(&mut jail, 70), none(), "on its way before");
    assert_eq!(fails(&mut jail, 200), [format!("futile {id} 1")]);
    assert_eq!(fails(&mut jail, 300), none());
    assert_eq!(jail.futile().unwrap().offences, 2);
    jail.unban(&Id::parse(id));
    assert_eq!(jail.futile(), None);
}
