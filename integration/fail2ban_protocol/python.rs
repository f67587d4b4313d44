//! What Python's pickler writes is read, and what is written for it, it reads: the same values, whatever the protocol.

use std::io::Write as _;
use std::process::{Command, Stdio};

use stockade::control::pickle;
use stockade::python::{Raised, Value};

use crate::lab::skip;

/// Prints pickles as hexadecimal digits, each with the `repr` of what is in it: values of all kinds made by chance, in
/// every protocol, and exceptions as a server answers them.
const DUMP: &str = r"
import pickle, random, re
random.seed(7)
def leaf():
    return random.choice([
        lambda: None, lambda: random.random() < .5, lambda: random.randint(-300, 300),
        lambda: random.randint(-2**31, 2**32), lambda: random.randint(-2**90, 2**90), lambda: random.uniform(-1e9, 1e9),
        lambda: random.choice([0.0, 1e300, 1.5e-7, float('inf')]),
        lambda: ''.join(random.choice('abc\\\'\x22 \n\t<>é€😀') for _ in range(random.randint(0, 12))),
        lambda: 'x' * random.choice([255, 256, 2000])])()
shared = ['shared', 'shared']
def value(depth):
    if depth == 0 or random.random() < .3: return leaf()
    size = random.choice([0, 1, 2, 3, 4, 7])
    kind = random.choice('ltdsu')
    if kind == 'l': return [value(depth - 1) for _ in range(size)]
    if kind == 't': return tuple(value(depth - 1) for _ in range(size))
    if kind == 's': return shared
    if kind == 'u': return [shared, shared, (shared,)]
    return {random.choice([leaf, lambda: (1, leaf())])(): value(depth - 1) for _ in range(size)}
values = [value(4) for _ in range(150)] + ['x' * 70000, list(range(2500)), {n: str(n) for n in range(2500)}]
for value in values:
    for protocol in range(6):
        print('value', protocol, pickle.dumps(value, protocol).hex(), ascii(repr(value)), sep='\t')
try: re.compile('(')
except re.error as error: broken = error
for error in [ValueError('no'), KeyError('x'), Exception(), FileNotFoundError(2, 'No such file'), IndexError(1, [2]), broken]:
    for protocol in range(3, 6): # the older ones name them as Python 2 did
        print('error', protocol, pickle.dumps((1, error), protocol).hex(),
            ascii('%s.%s%r' % (type(error).__module__, type(error).__name__, error.args)), sep='\t')
";

/// Prints what the pickles on the lines of the input are.
const LOAD: &str = r"
import pickle, sys
for line in sys.stdin:
    value = pickle.loads(bytes.fromhex(line))
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], BaseException):
        error = value[1]
        value = '%s.%s%r' % (type(error).__module__, type(error).__name__, error.args)
    else: value = repr(value)
    print(ascii(value))
";

fn python(script: &str, input: &str) -> Option<String> {
    let spawned =
        Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        skip("python3 is not installed: its pickles were not tried");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    writer.join().unwrap().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What Python's `ascii` of a text is.
fn ascii(text: &str) -> String {
    let shown = |char: char| match u32::from(char) {
        0..0x80 => char.to_string(),
        code @ 0x80..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    };
    stockade::python::repr(text).chars().map(shown).collect()
}

fn told(raised: &Raised) -> String {
    format!("{}.{}{}", raised.module, raised.class, Value::Tuple(raised.arguments.clone()))
}

#[test]
fn pythons_pickles_and_ours_are_the_same_values() {
    let Some(dumped) = python(DUMP, "") else { return };
    let (mut ours, mut shown) = (String::new(), Vec::new());
    for line in dumped.lines() {
        let [kind, protocol, pickled, want] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let protocol: u8 = protocol.parse().unwrap();
        let pickled = bytes(pickled);
        if kind == "error" {
            let reply = pickle::reply(&pickled).unwrap_or_else(|why| panic!("{protocol} {want}: {why}"));
            assert_eq!(ascii(&told(reply.as_ref().unwrap_err())), want, "protocol {protocol}");
            ours += &hex(&pickle::write_reply(&reply, protocol));
        } else {
            let (value, asked) =
                pickle::command(&pickled).unwrap_or_else(|why| panic!("{protocol} {want}: {why}"));
            assert_eq!(ascii(&value.to_string()), want, "protocol {protocol}");
            assert_eq!(asked, protocol.max(2));
            // Within a list, so that any value is a command.
            ours += &hex(&pickle::write_command(&[value], protocol));
        }
        ours.push('\n');
        shown.push((kind.to_owned(), want.to_owned()));
    }
    assert!(shown.len() > 900, "{}", shown.len());
    let loaded = python(LOAD, &ours).unwrap();
    assert_eq!(loaded.lines().count(), shown.len());
    for (line, (kind, want)) in loaded.lines().zip(shown) {
        if kind == "error" {
            assert_eq!(line, want);
        } else {
            // `[value]` in quotes of its own choice.
            let inside = |text: &str| text[1..text.len() - 1].replace("\\'", "'").replace("\\\\", "\\");
            assert_eq!(inside(line), format!("[{}]", inside(&want)));
        }
    }
}
