//! A container engine restarts, and its containers: it takes its own rules away and writes them anew. The real one does it in
//! `integration/containers/stories/engine.sh`.

use super::{drifts, ruleset};
use crate::lab::{Lab, ssh_failure, until};

const ATTACKER: &str = "192.0.2.66";
const FRIEND: &str = "192.0.2.77";

#[test]
fn bans_hold_while_an_engine_writes_its_rules_anew() {
    let mut lab = Lab::new(&[ATTACKER, FRIEND]);
    lab.ssh_jail("ssh", "ports = [80]\nhooks = [\"input\", \"forward\"]");
    lab.append("logs/ssh.log", "");
    let mut inner = lab.publish();
    let mut server = lab.serve_behind(&inner, 80);
    assert!(lab.reaches(ATTACKER, 8080));
    lab.start(&[]);
    lab.append("logs/ssh.log", &ssh_failure(ATTACKER).repeat(3));
    lab.until_banned("ssh", ATTACKER);
    let kept = ruleset(&lab);
    assert!(!lab.reaches(ATTACKER, 8080) && lab.reaches(FRIEND, 8080));
    for round in 0..2 {
        drop((server, inner));
        until("its cable is gone", || !lab.run_inside("ip link show bridge"));
        assert!(lab.run_inside("nft delete table ip engine"));
        inner = lab.publish();
        server = lab.serve_behind(&inner, 80);
        assert!(!lab.reaches(ATTACKER, 8080) && lab.reaches(FRIEND, 8080), "{round}");
        assert_eq!(ruleset(&lab), kept, "{round}");
    }
    drop((server, inner));
    assert_eq!((&drifts(&lab)["seen"], &drifts(&lab)["healed"]), (&0.into(), &0.into()), "{}", lab.log());
}
