use std::time::Duration;
use stockade::fail2ban::filter::{Wanted, resolve};
use stockade::filter::{Filter, Outcome, Reading, UseDns};
use stockade::time::UnixTime;
fn main() {
    let doc: serde_json::Value = serde_json::from_reader(std::io::stdin()).unwrap();
    let base = doc["base"].as_str().unwrap();
    let mut options: Vec<(String, String)> = doc["options"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
        .collect();
    let mut jail = Vec::new();
    options.retain(|(k, v)| {
        let z = k == "logtimezone";
        if z {
            jail.push((k.clone(), v.clone()))
        }
        !z
    });
    let resolved = resolve(&Wanted {
        base: base.as_ref(),
        name: doc["filter"].as_str().unwrap(),
        options: &options,
        jail: &jail,
    })
    .unwrap();
    let mut o = resolved.options();
    let dns = doc["jail"]["usedns"].as_str().or(doc["usedns"].as_str()).unwrap_or("warn");
    o.fail2ban.as_mut().unwrap().use_dns = match dns {
        "raw" => UseDns::Raw,
        "no" => UseDns::No,
        "yes" => UseDns::Yes,
        _ => UseDns::Warn,
    };
    let tz = doc["tz"].as_str().unwrap();
    let zone = stockade::filter::date::Zone::named(tz).unwrap();
    let mut f = Filter::for_replay(&o, zone, 2026).unwrap();
    let epoch = doc["epoch"].as_i64().unwrap_or(0);
    let restart = std::env::args().nth(1).is_some();
    for (i, l) in doc["lines"].as_array().unwrap().iter().enumerate() {
        let now = UnixTime::from_micros(((epoch as f64 + l["now"].as_f64().unwrap()) * 1e6) as i64);
        let at = Reading {
            now,
            since: now,
            live: l["in_operation"].as_bool().unwrap(),
            find_time: Duration::from_secs_f64(doc["jail"]["findtime"].as_f64().unwrap_or(600.0)),
        };
        if restart {
            let s = f.state();
            f = Filter::for_replay(&o, stockade::filter::date::Zone::named(tz).unwrap(), 2026).unwrap();
            f.restore(&s);
        }
        let text = l["line"].as_str().or(l["text"].as_str()).unwrap();
        if let Outcome::Failure(x) = f.line(text.as_bytes(), &at) {
            println!(
                "{}",
                serde_json::json!({"line": i + 1, "id": x.id.to_string(), "time": x.time.micros() as f64 / 1e6, "matches": x.lines.iter().map(|x| x.to_string()).collect::<Vec<_>>(), "user": x.data.iter().find(|d| &*d.0 == "user").map(|d| d.1.clone())})
            );
        }
    }
}
