use super::*;

/// What is done, each as `second op who`.
fn done(jails: &str, events: &str) -> Vec<String> {
    let case =
        format!(r#"{{"settings":{{"jails":{jails}}},"events":{events},"epoch":1700000000,"end":10000}}"#);
    let actions = play(serde_json::from_str(&case).unwrap()).unwrap();
    let who = |action: &Action| action.ban.as_ref().map_or_else(String::new, |ban| format!(" {}", ban.ip));
    let restored = |action: &Action| {
        if action.ban.as_ref().is_some_and(|ban| ban.restored == 1) { " again" } else { "" }
    };
    actions
        .iter()
        .map(|action| format!("{} {}{}{}", action.t, action.op, who(action), restored(action)))
        .collect()
}

const ONE: &str = r#"{"j":{"maxretry":1,"findtime":600,"bantime":60}}"#;
const GROWS: &str = r#"{"j":{"maxretry":1,"findtime":600,"bantime":60,"bantime.increment":"true"}}"#;

/// Measured with Fail2Ban 1.0.2.
#[test]
fn plays_end_as_with_fail2ban() {
    for (what, jails, events, want) in [
        (
            "a ban is over at the first whole second behind its end",
            ONE,
            r#"[{"t":0.5,"ev":"fail","ip":"192.0.2.1"}]"#,
            &["0.5 ban 192.0.2.1", "61 unban 192.0.2.1"][..],
        ),
        (
            "the second ban is longer, and actions hear of it after ten seconds",
            GROWS,
            r#"[{"t":0,"ev":"fail","ip":"192.0.2.1"},{"t":1000,"ev":"fail","ip":"192.0.2.1"}]"#,
            &[
                "0 ban 192.0.2.1",
                "61 unban 192.0.2.1",
                "1000 ban 192.0.2.1",
                "1010 prolong 192.0.2.1",
                "1121 unban 192.0.2.1",
            ],
        ),
        (
            "who was let in by an operator begins anew",
            GROWS,
            r#"[{"t":0,"ev":"fail","ip":"192.0.2.1"},{"t":100,"ev":"unbanip","ip":"192.0.2.1"},{"t":1000,"ev":"fail","ip":"192.0.2.1"}]"#,
            &["0 ban 192.0.2.1", "61 unban 192.0.2.1", "1000 ban 192.0.2.1", "1061 unban 192.0.2.1"],
        ),
        (
            "a restart remembers bans, and forgets what was set",
            ONE,
            r#"[{"t":0,"ev":"set","opt":"bantime","val":600},{"t":1,"ev":"fail","ip":"192.0.2.1"},{"t":30,"ev":"restart"}]"#,
            &["1 ban 192.0.2.1", "30 restart", "30 ban 192.0.2.1 again", "62 unban 192.0.2.1 again"],
        ),
        (
            "an operator",
            ONE,
            r#"[{"t":0,"ev":"banip","ips":["192.0.2.1","name"]},{"t":1,"ev":"attempt","ip":"192.0.2.2","matches":["a"]},{"t":2,"ev":"unban-all"}]"#,
            &[
                "0 ban 192.0.2.1",
                "0 ban name",
                "1 ban 192.0.2.2",
                "2 unban 192.0.2.1",
                "2 unban name",
                "2 unban 192.0.2.2",
            ],
        ),
        (
            "a shorter time tells late",
            ONE,
            r#"[{"t":0,"ev":"fail","ip":"192.0.2.1"},{"t":1,"ev":"set","opt":"bantime","val":5}]"#,
            &["0 ban 192.0.2.1", "61 unban 192.0.2.1"],
        ),
    ] {
        assert_eq!(done(jails, events), want, "{what}");
    }
}

#[test]
fn a_wrong_option_is_named() {
    let wrong = |option: &str, value: &str| {
        let settings = format!(r#"{{"{option}":"{value}"}}"#);
        let error = settings::options("j", &serde_json::from_str(&settings).unwrap()).unwrap_err();
        format!("{error:#}")
    };
    assert_eq!(wrong("bantime.formula", "2 *"), "bantime.formula: is no formula: it ends too early");
    assert_eq!(
        wrong("bantime.factor", "x"),
        "bantime.factor: `x` is not known: a formula knows ban.Time, ban.Count, banFactor, numbers, min, max, abs, pow, int, float, round and math.*"
    );
    assert_eq!(wrong("maxretry", "many"), r#"maxretry "many": invalid digit found in string"#);
}
