//! `make install` and `make uninstall`: what they put where, what they leave alone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Calls the script; its exit code and what it said on standard error.
fn script(root: &Path, verb: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/install.sh"))
        .arg(verb)
        .env("DESTDIR", root)
        .env("PROGRAM", env!("CARGO_BIN_EXE_stockade"))
        .env_remove("PREFIX")
        .env_remove("SYSCONFDIR")
        .env_remove("FORCE")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Everything below `root`, directories with a slash at their end.
fn tree(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
                found.insert(name + "/");
            } else {
                found.insert(name);
            }
        }
    }
    found
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn what_is_installed_is_removed_again_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    write(root.path().join("usr/local/share/man/man1/other.1"), "another program's page");
    let before = tree(root.path());

    for round in ["first", "again"] {
        let (code, said) = script(root.path(), "install", &[]);
        assert_eq!(code, Some(0), "{round}: {said}");
    }
    let installed = tree(root.path());
    for path in [
        "usr/local/bin/stockade",
        "usr/local/lib/systemd/system/stockade.service",
        "usr/local/lib/tmpfiles.d/stockade.conf",
        "usr/local/share/man/man1/stockade.1",
        "usr/local/share/man/man1/stockade-ban.1",
        "usr/local/share/bash-completion/completions/stockade",
        "usr/local/share/zsh/site-functions/_stockade",
        "usr/local/share/fish/vendor_completions.d/stockade.fish",
        "etc/logrotate.d/stockade",
        "etc/stockade/stockade.toml",
        "etc/stockade/jails.d/",
    ] {
        assert!(installed.contains(path), "{path} is missing in {installed:#?}");
    }
    let unit = fs::read_to_string(root.path().join("usr/local/lib/systemd/system/stockade.service")).unwrap();
    assert!(unit.contains("\nExecStart=/usr/local/bin/stockade run\n"), "{unit}");
    let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("usr/local/bin/stockade"), mode("etc/stockade/stockade.toml")), (0o755, 0o644));

    let (code, said) = script(root.path(), "uninstall", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(tree(root.path()), before);
    let (code, said) = script(root.path(), "uninstall", &[]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn an_edited_configuration_is_kept_and_an_untouched_one_is_renewed() {
    let root = tempfile::tempdir().unwrap();
    let toml = root.path().join("etc/stockade/stockade.toml");
    let logrotate = root.path().join("etc/logrotate.d/stockade");
    let manifest = root.path().join("usr/local/share/stockade/manifest");
    write(logrotate.clone(), "the operator's own\n"); // there before the first installation

    assert_eq!(script(root.path(), "install", &[]).0, Some(0));
    assert_eq!(fs::read_to_string(&logrotate).unwrap(), "the operator's own\n");
    let shipped = fs::read_to_string(&toml).unwrap();

    // As an older version would have installed it: other text, its hash in the manifest.
    let other = root.path().join("other");
    write(other.clone(), "[daemon] # of an older version\n");
    let hash = |path: &Path| {
        let output = Command::new("sha256sum").arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()[..64].to_owned()
    };
    let written = fs::read_to_string(&manifest).unwrap().replace(&hash(&toml), &hash(&other));
    write(manifest, &written);
    fs::rename(&other, &toml).unwrap();
    assert_eq!(script(root.path(), "install", &[]).0, Some(0));
    assert_eq!(fs::read_to_string(&toml).unwrap(), shipped, "an untouched one is renewed");

    fs::write(&toml, "[daemon] # edited\n").unwrap();
    for verb in ["install", "install", "uninstall"] {
        let (code, said) = script(root.path(), verb, &[]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("kept /etc/stockade/stockade.toml: it was edited"), "{verb}: {said}");
        assert_eq!(fs::read_to_string(&toml).unwrap(), "[daemon] # edited\n", "{verb}");
    }
    let left = tree(root.path());
    let files: Vec<_> = left.iter().filter(|path| !path.ends_with('/')).collect();
    assert_eq!(files, ["etc/logrotate.d/stockade", "etc/stockade/stockade.toml"]);
}

#[test]
fn files_of_unknown_origin_stop_it_before_anything_moves() {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("opt/bin/stockade");
    write(program.clone(), "something else");
    let before = tree(root.path());
    let prefix = ("PREFIX", "/opt");
    let (code, said) = script(root.path(), "install", &[prefix]);
    let want = "install: /opt/bin/stockade is there and was not installed by this script: FORCE=1 replaces it\n\
                install: nothing was installed\n";
    assert_eq!((code, &*said), (Some(1), want));
    assert_eq!(tree(root.path()), before);
    let (code, said) = script(root.path(), "install", &[prefix, ("FORCE", "1")]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        fs::metadata(program).unwrap().len(),
        fs::metadata(env!("CARGO_BIN_EXE_stockade")).unwrap().len()
    );
}

#[test]
fn files_of_another_package_are_never_overwritten() {
    let root = tempfile::tempdir().unwrap();
    // A stand-in that owns the program's place: nothing is installed into the real system either way.
    write(
        root.path().join("bin/dpkg"),
        "#!/bin/sh\ncase $2 in */bin/stockade) echo \"other: $2\" ;; *) exit 1 ;; esac\n",
    );
    fs::set_permissions(root.path().join("bin/dpkg"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}/bin:{}", root.path().display(), std::env::var("PATH").unwrap());
    let prefix = root.path().join("usr");
    let etc = root.path().join("etc");
    write(prefix.join("bin/stockade"), "theirs");
    let environment = [
        ("DESTDIR", ""),
        ("PATH", &*path),
        ("PREFIX", prefix.to_str().unwrap()),
        ("SYSCONFDIR", etc.to_str().unwrap()),
        ("FORCE", "1"),
    ];
    let (code, said) = script(root.path(), "install", &environment);
    let want = format!(
        "install: {}/bin/stockade belongs to the package other: remove that, or choose another PREFIX\n\
         install: nothing was installed\n",
        prefix.display()
    );
    assert_eq!((code, said), (Some(1), want));
    assert_eq!(fs::read_to_string(prefix.join("bin/stockade")).unwrap(), "theirs");
    assert!(!etc.exists());
}

const NAMES: [&str; 3] = ["usr/bin/fail2ban-server", "usr/bin/fail2ban-client", "usr/bin/fail2ban-regex"];

/// A tree with Fail2Ban's programs, and with a dpkg database of its own if that is wanted.
fn with_fail2ban(database: bool) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in NAMES {
        write(root.path().join(name), &format!("theirs: {name}"));
    }
    write(root.path().join("etc/fail2ban/jail.conf"), "[DEFAULT]\n");
    write(root.path().join("lib/systemd/system/fail2ban.service"), "[Service]\n");
    if database {
        for file in ["status", "info/format", "diversions"] {
            write(
                root.path().join("var/lib/dpkg").join(file),
                if file == "info/format" { "1\n" } else { "" },
            );
        }
    }
    root
}

#[test]
fn in_fail2bans_place_its_files_are_set_aside_and_given_back() {
    let dpkg = Command::new("dpkg-divert").arg("--version").output().is_ok();
    if !dpkg {
        crate::lab::skip("there is no dpkg-divert: diversions were not tried");
    }
    for database in [false, true].into_iter().filter(|database| dpkg || !database) {
        let root = with_fail2ban(database);
        let before = tree(root.path());
        for round in ["first", "again"] {
            let (code, said) = script(root.path(), "install-dropin", &[]);
            assert_eq!(code, Some(0), "{round}: {said}");
        }
        for name in NAMES {
            let link = fs::read_link(root.path().join(name)).unwrap();
            assert_eq!(link, Path::new("/usr/local/bin/stockade"), "{name}");
            let aside = fs::read_to_string(root.path().join(format!("{name}.fail2ban"))).unwrap();
            assert_eq!(aside, format!("theirs: {name}"));
        }
        assert_eq!(fs::read_to_string(root.path().join("etc/fail2ban/jail.conf")).unwrap(), "[DEFAULT]\n");
        assert!(!root.path().join("usr/local/lib/systemd/system/fail2ban.service").exists(), "theirs serves");
        if database {
            let diversions = fs::read_to_string(root.path().join("var/lib/dpkg/diversions")).unwrap();
            assert!(
                diversions.contains("/usr/bin/fail2ban-client\n/usr/bin/fail2ban-client.fail2ban\n"),
                "{diversions}"
            );
        }
        // An update of the program alone takes nothing back.
        assert_eq!(script(root.path(), "install", &[]).0, Some(0));
        let (code, said) = script(root.path(), "uninstall", &[]);
        assert_eq!(code, Some(0), "{said}");
        let dpkgs =
            |tree: BTreeSet<String>| tree.into_iter().filter(|path| !path.starts_with("var/lib/dpkg/"));
        assert!(dpkgs(tree(root.path())).eq(dpkgs(before)), "{:#?}", tree(root.path()));
        for name in NAMES {
            assert_eq!(fs::read_to_string(root.path().join(name)).unwrap(), format!("theirs: {name}"));
        }
        if database {
            assert_eq!(fs::read_to_string(root.path().join("var/lib/dpkg/diversions")).unwrap(), "");
        }
    }
}

#[test]
fn without_a_fail2ban_the_names_and_a_unit_are_there_too() {
    let root = tempfile::tempdir().unwrap();
    let before = tree(root.path());
    let (code, said) = script(root.path(), "install-dropin", &[]);
    assert_eq!(code, Some(0), "{said}");
    for name in NAMES {
        assert_eq!(fs::read_link(root.path().join(name)).unwrap(), Path::new("/usr/local/bin/stockade"));
    }
    let unit = root.path().join("usr/local/lib/systemd/system/fail2ban.service");
    assert!(fs::read_to_string(unit).unwrap().contains("\nExecStart=/usr/bin/fail2ban-server -xf start\n"));
    assert!(!root.path().join("etc/fail2ban").exists());
    let (code, said) = script(root.path(), "uninstall", &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(tree(root.path()), before);
}

#[test]
fn a_name_that_was_changed_meanwhile_is_left_alone() {
    let root = with_fail2ban(false);
    assert_eq!(script(root.path(), "install-dropin", &[]).0, Some(0));
    let changed = root.path().join(NAMES[0]);
    fs::remove_file(&changed).unwrap();
    write(changed.clone(), "somebody else's");
    let (code, said) = script(root.path(), "install-dropin", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("fail2ban-server.fail2ban is there already"), "{said}");
    let (code, said) = script(root.path(), "uninstall", &[]);
    assert!(code == Some(0) && said.contains("kept /usr/bin/fail2ban-server: it was changed"), "{said}");
    assert_eq!(fs::read_to_string(changed).unwrap(), "somebody else's");
    assert_eq!(fs::read_to_string(root.path().join(NAMES[1])).unwrap(), format!("theirs: {}", NAMES[1]));
}
