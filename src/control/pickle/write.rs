//! A value → bytes, as Python's own pickler writes them: for short messages without repetitions byte for byte.
//!
//! Pure. No text is written in a way in which the end of a message ([`super::super::talk::END`]) could be read in it.

use super::{PROTOCOLS, Reply, number, text};
use crate::control::talk::END;
use crate::python::{Raised, Value};

/// So many items are added at once.
const BATCH: usize = 1000;
/// A longer message is written without a frame.
const FRAME: usize = 64 * 1024;

/// What a client sends.
pub fn write_command(command: &[Value], protocol: u8) -> Vec<u8> {
    message(protocol, |out| out.list(command))
}

/// A server's answer.
pub fn write_reply(reply: &Reply, protocol: u8) -> Vec<u8> {
    message(protocol, |out| {
        match reply {
            Ok(value) => {
                out.integer("0");
                out.value(value);
            }
            Err(raised) => {
                out.integer("1");
                out.raised(raised);
            }
        }
        out.instruct(0x86);
    })
}

/// A server's answer to what is no command.
pub fn write_error(why: &str, protocol: u8) -> Vec<u8> {
    message(protocol, |out| out.text(&format!("ERROR: {why}")))
}

fn message(protocol: u8, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let protocol = protocol.clamp(*PROTOCOLS.start(), *PROTOCOLS.end());
    let mut out = Writer { bytes: Vec::new(), protocol };
    body(&mut out);
    out.bytes.push(b'.');
    let mut message = vec![0x80, protocol];
    if protocol >= 4 && (4..FRAME).contains(&out.bytes.len()) {
        message.push(0x95);
        message.extend((out.bytes.len() as u64).to_le_bytes());
    }
    message.append(&mut out.bytes);
    message
}

struct Writer {
    bytes: Vec<u8>,
    protocol: u8,
}

impl Writer {
    /// An instruction that makes something which Python remembers.
    fn instruct(&mut self, instruction: u8) {
        self.bytes.push(instruction);
        if self.protocol >= 4 {
            self.bytes.push(0x94);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::None => self.bytes.push(b'N'),
            Value::Bool(true) => self.bytes.push(0x88),
            Value::Bool(false) => self.bytes.push(0x89),
            Value::Int(digits) => self.integer(digits),
            Value::Float(number) => {
                self.bytes.push(b'G');
                self.bytes.extend(number.to_be_bytes());
            }
            Value::Text(text) => self.text(text),
            Value::List(items) => self.list(items),
            Value::Tuple(items) => self.tuple(items),
            Value::Map(pairs) => {
                self.instruct(b'}');
                self.batches(pairs, (b's', b'u'), |out, (key, value)| {
                    out.value(key);
                    out.value(value);
                });
            }
        }
    }

    fn values(&mut self, values: &[Value]) {
        for value in values {
            self.value(value);
        }
    }

    fn list(&mut self, items: &[Value]) {
        self.instruct(b']');
        self.batches(items, (b'a', b'e'), Self::value);
    }

    /// The items of a list or dict; `one` adds a single one, `many` all since a mark.
    fn batches<T>(&mut self, items: &[T], (one, many): (u8, u8), write: impl Fn(&mut Self, &T)) {
        if let [item] = items {
            write(self, item);
            return self.bytes.push(one);
        }
        for batch in items.chunks(BATCH) {
            self.bytes.push(b'(');
            for item in batch {
                write(self, item);
            }
            self.bytes.push(many);
        }
    }

    fn tuple(&mut self, items: &[Value]) {
        match items.len() {
            0 => self.bytes.push(b')'), // of which there is only one: not remembered
            few @ 1..=3 => {
                self.values(items);
                self.instruct(0x84 + few as u8);
            }
            _ => {
                self.bytes.push(b'(');
                self.values(items);
                self.instruct(b't');
            }
        }
    }

    fn integer(&mut self, digits: &str) {
        match digits.parse::<i32>() {
            Ok(number @ 0..=0xff) => self.bytes.extend([b'K', number as u8]),
            Ok(number @ 0..=0xffff) => {
                self.bytes.push(b'M');
                self.bytes.extend((number as u16).to_le_bytes());
            }
            Ok(number) => {
                self.bytes.push(b'J');
                self.bytes.extend(number.to_le_bytes());
            }
            Err(_) => match number::bytes(digits) {
                Some(bytes) => self.long(&bytes),
                None => self.text(digits),
            },
        }
    }

    fn long(&mut self, bytes: &[u8]) {
        if let Ok(count) = u8::try_from(bytes.len()) {
            self.bytes.extend([0x8a, count]);
        } else {
            self.bytes.push(0x8b);
            self.bytes.extend((bytes.len() as u32).to_le_bytes());
        }
        self.bytes.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        if memchr::memmem::find(text.as_bytes(), END).is_some() {
            self.bytes.push(b'V');
            self.bytes.extend(text::escape(text).bytes());
            return self.instruct(b'\n');
        }
        match u8::try_from(text.len()) {
            Ok(count) if self.protocol >= 4 => self.bytes.extend([0x8c, count]),
            _ => {
                self.bytes.push(b'X');
                self.bytes.extend((text.len() as u32).to_le_bytes());
            }
        }
        self.bytes.extend(text.as_bytes());
        if self.protocol >= 4 {
            self.bytes.push(0x94);
        }
    }

    fn raised(&mut self, Raised { module, class, arguments }: &Raised) {
        if self.protocol >= 4 {
            self.text(module);
            self.text(class);
            self.instruct(0x93);
        } else {
            self.bytes.extend([b"c", module.as_bytes(), b"\n", class.as_bytes(), b"\n"].concat());
        }
        self.tuple(arguments);
        self.instruct(b'R');
    }
}
