//! Bytes → a value: the instructions of a pickle, one after another.
//!
//! Pure.

use super::heap::{Node, Ref};
use super::machine::Machine;
use super::{ANSWER_CAP, BYTES_CAP, INTEGER_CAP, PROTOCOLS, PickleError, Reply, number, text};
use crate::python::{Raised, Value};

/// What a client sends, and the protocol in which it wants its answer.
///
/// # Errors
/// The bytes are no pickle, or one of something else than plain values.
pub fn command(bytes: &[u8]) -> Result<(Value, u8), PickleError> {
    let mut machine = Machine::new(BYTES_CAP);
    let mut reader = Reader { bytes, at: 0, protocol: 0 };
    let root = reader.run(&mut machine)?;
    let protocol = reader.protocol.clamp(*PROTOCOLS.start(), *PROTOCOLS.end());
    Ok((machine.heap.value(root)?, protocol))
}

/// What a server answers: `(0, value)`, `(1, exception)`, or a bare text when it could not read what it was sent.
///
/// # Errors
/// The bytes are no such answer.
pub fn reply(bytes: &[u8]) -> Result<Reply, PickleError> {
    let mut machine = Machine::new(ANSWER_CAP);
    machine.exceptions = true;
    let root = Reader { bytes, at: 0, protocol: 0 }.run(&mut machine)?;
    let heap = &machine.heap;
    let (code, answer) = match heap.get(root) {
        Node::Tuple(items) | Node::List(items) => match items[..] {
            [code, answer] => (heap.value(code)?, answer),
            _ => return Err(PickleError::NoReply),
        },
        Node::Text(text) => return Ok(Err(Raised::builtin("Exception", &**text))),
        _ => return Err(PickleError::NoReply),
    };
    match (code, heap.get(answer)) {
        (Value::Int(code), _) if code == "0" => heap.value(answer).map(Ok),
        (Value::Int(_), Node::Instance { .. }) => heap.raised(answer).map(Err),
        (Value::Int(_), _) => Ok(Err(Raised::builtin("Exception", heap.value(answer)?.print()))),
        _ => Err(PickleError::NoReply),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    protocol: u8,
}

impl<'a> Reader<'a> {
    /// Runs to the end; what is on top then is the value.
    fn run(&mut self, machine: &mut Machine<'a>) -> Result<Ref, PickleError> {
        match self.bytes.len() {
            0 => return Err(PickleError::Empty),
            count if count > machine.heap.cap() => {
                return Err(PickleError::TooMuch("the allowed number of bytes"));
            }
            _ => {}
        }
        loop {
            let instruction = self.byte()?;
            if instruction == b'.' {
                let root = machine.pop()?;
                return match self.bytes.len() - self.at {
                    0 => Ok(root),
                    rest => Err(PickleError::Rest(rest)),
                };
            }
            match instruction {
                0x80 => self.protocol()?,
                0x95 => drop(self.array::<8>()?), // a frame: its length tells nothing new
                b'N' | 0x88 | 0x89 | b'K' | b'M' | b'J' | 0x8a | 0x8b | b'G' | b'I' | b'L' | b'F' => {
                    let node = self.plain(instruction)?;
                    machine.push(node)?;
                }
                0x8c | b'X' | 0x8d | b'U' | b'T' | b'V' => {
                    let node = self.text(instruction)?;
                    machine.push(node)?;
                }
                b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(instruction, machine)?,
                b'c' => {
                    let module = text::utf8(self.line()?)?;
                    let name = text::utf8(self.line()?)?;
                    machine.class(module, name)?;
                }
                _ => shape(instruction, machine)?,
            }
        }
    }

    fn protocol(&mut self) -> Result<(), PickleError> {
        self.protocol = self.byte()?;
        if self.protocol > *PROTOCOLS.end() { Err(PickleError::Protocol(self.protocol)) } else { Ok(()) }
    }

    fn plain(&mut self, instruction: u8) -> Result<Node<'a>, PickleError> {
        Ok(match instruction {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'K' => Node::Int(self.byte()?.to_string()),
            b'M' => Node::Int(u16::from_le_bytes(self.array()?).to_string()),
            b'J' => Node::Int(i32::from_le_bytes(self.array()?).to_string()),
            b'G' => Node::Float(f64::from_be_bytes(self.array()?)),
            0x8a => {
                let count = usize::from(self.byte()?);
                self.integer(count)?
            }
            0x8b => {
                let count = self.count()?;
                self.integer(count)?
            }
            b'F' => {
                let line = self.line()?;
                let number = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
                Node::Float(number.ok_or(PickleError::Malformed("number"))?)
            }
            _ => self.decimal(instruction)?,
        })
    }

    fn integer(&mut self, count: usize) -> Result<Node<'a>, PickleError> {
        if count > INTEGER_CAP {
            return Err(PickleError::TooMuch("the allowed bytes of an integer"));
        }
        Ok(Node::Int(number::digits(self.take(count)?)))
    }

    /// An integer, or `00` and `01` that are booleans, as digits.
    fn decimal(&mut self, instruction: u8) -> Result<Node<'a>, PickleError> {
        let line = self.line()?;
        if line.len() > 2 * INTEGER_CAP {
            return Err(PickleError::TooMuch("the allowed bytes of an integer"));
        }
        let digits = std::str::from_utf8(line).unwrap_or_default();
        match (instruction, digits) {
            (b'I', "00") => Ok(Node::Bool(false)),
            (b'I', "01") => Ok(Node::Bool(true)),
            _ => {
                let digits =
                    if instruction == b'L' { digits.strip_suffix('L').unwrap_or(digits) } else { digits };
                match Value::int(digits) {
                    Some(Value::Int(plain)) if number::is_plain(digits) => Ok(Node::Int(plain)),
                    _ => Err(PickleError::Malformed("number")),
                }
            }
        }
    }

    fn text(&mut self, instruction: u8) -> Result<Node<'a>, PickleError> {
        let count = match instruction {
            0x8c | b'U' => usize::from(self.byte()?),
            b'X' | b'T' => self.count()?,
            0x8d => usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| PickleError::Truncated)?,
            _ => return Ok(Node::Text(text::escaped(self.line()?)?.into())),
        };
        Ok(Node::Text(text::utf8(self.take(count)?)?))
    }

    fn remember(&mut self, instruction: u8, machine: &mut Machine<'a>) -> Result<(), PickleError> {
        let number = match instruction {
            0x94 => return machine.put(None),
            b'q' | b'h' => u32::from(self.byte()?),
            b'r' | b'j' => u32::from_le_bytes(self.array()?),
            _ => {
                let line = std::str::from_utf8(self.line()?).unwrap_or_default();
                line.parse().map_err(|_| PickleError::Malformed("number"))?
            }
        };
        if matches!(instruction, b'p' | b'q' | b'r') {
            machine.put(Some(number))
        } else {
            machine.get(number)
        }
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.array::<1>()?[0])
    }

    fn count(&mut self) -> Result<usize, PickleError> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| PickleError::Truncated)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let array = self.bytes[self.at..].first_chunk().ok_or(PickleError::Truncated)?;
        self.at += N;
        Ok(*array)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let bytes = self.bytes[self.at..].get(..count).ok_or(PickleError::Truncated)?;
        self.at += count;
        Ok(bytes)
    }

    /// Up to the end of the line.
    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(b'\n', rest).ok_or(PickleError::Truncated)?;
        self.at += end + 1;
        Ok(&rest[..end])
    }
}

/// An instruction that makes or fills what has parts.
fn shape(instruction: u8, machine: &mut Machine<'_>) -> Result<(), PickleError> {
    match instruction {
        b'(' => machine.mark(),
        b'0' => machine.discard(),
        b'1' => machine.pop_mark().map(drop),
        b'2' => machine.duplicate(),
        b']' | 0x8f => machine.push(Node::List(Vec::new())),
        b'}' => machine.push(Node::Map(Vec::new())),
        b')' => machine.push(Node::Tuple(Vec::new())),
        0x85..=0x87 => machine.tuple(usize::from(instruction - 0x84)),
        b'l' | 0x91 => {
            let items = machine.pop_mark()?;
            machine.push(Node::List(items))
        }
        b't' => {
            let items = machine.pop_mark()?;
            machine.push(Node::Tuple(items))
        }
        b'd' => {
            let items = machine.pop_mark()?;
            machine.map(&items)
        }
        b'a' => {
            let item = machine.pop()?;
            machine.append(&[item])
        }
        b'e' | 0x90 => {
            let items = machine.pop_mark()?;
            machine.append(&items)
        }
        b's' => {
            let (value, key) = (machine.pop()?, machine.pop()?);
            machine.set_items(&[key, value])
        }
        b'u' => {
            let items = machine.pop_mark()?;
            machine.set_items(&items)
        }
        0x93 => machine.stacked_class(),
        b'R' => machine.call(),
        b'b' => machine.build(),
        other => Err(PickleError::Instruction(other)),
    }
}
