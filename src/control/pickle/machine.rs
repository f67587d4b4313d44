//! The stack machine behind a pickle: what its instructions do to a heap of plain values.
//!
//! Pure. Each instruction costs a bounded time, or a time as long as its own bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::heap::{Heap, Node, Ref};
use super::{PickleError, VALUES_CAP};

/// Why an instruction cannot work.
fn underflow<T>(what: &'static str) -> Result<T, PickleError> {
    Err(PickleError::Stack(what))
}

/// The machine.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) heap: Heap<'a>,
    stack: Vec<Ref>,
    /// Where on the stack marks are.
    marks: Vec<usize>,
    memo: Memo,
    /// How often a value was put on the stack.
    pushed: usize,
    /// Whether a class may be named that is none of ours: as one of exceptions.
    pub(super) exceptions: bool,
}

impl<'a> Machine<'a> {
    /// One for a pickle of up to `cap` bytes.
    pub(super) fn new(cap: usize) -> Self {
        Self {
            heap: Heap::new(cap),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
            pushed: 0,
            exceptions: false,
        }
    }

    pub(super) fn push(&mut self, node: Node<'a>) -> Result<(), PickleError> {
        let of = self.heap.add(node)?;
        self.push_again(of)
    }

    fn push_again(&mut self, of: Ref) -> Result<(), PickleError> {
        self.pushed += 1;
        if self.pushed > 4 * VALUES_CAP {
            return Err(PickleError::TooMuch("the allowed number of values"));
        }
        self.stack.push(of);
        Ok(())
    }

    /// The value on top; marks are in the way.
    pub(super) fn pop(&mut self) -> Result<Ref, PickleError> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return underflow("nothing is there");
        }
        self.stack.pop().ok_or(PickleError::Stack("nothing is there"))
    }

    fn top(&self) -> Result<Ref, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(of) if self.stack.len() > floor => Ok(*of),
            _ => underflow("nothing is there"),
        }
    }

    pub(super) fn mark(&mut self) -> Result<(), PickleError> {
        if self.marks.len() >= VALUES_CAP {
            return Err(PickleError::TooMuch("the allowed number of values"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Everything since the last mark.
    pub(super) fn pop_mark(&mut self) -> Result<Vec<Ref>, PickleError> {
        let mark = self.marks.pop().ok_or(PickleError::Stack("there is no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    /// Takes the top away, be it a mark.
    pub(super) fn discard(&mut self) -> Result<(), PickleError> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    pub(super) fn duplicate(&mut self) -> Result<(), PickleError> {
        let top = self.top()?;
        self.push_again(top)
    }

    /// A tuple of the uppermost `count` values.
    pub(super) fn tuple(&mut self, count: usize) -> Result<(), PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => {
                let items = self.stack.split_off(start);
                self.push(Node::Tuple(items))
            }
            _ => underflow("a tuple's items"),
        }
    }

    /// A dict of what is in turns key and value.
    pub(super) fn map(&mut self, items: &[Ref]) -> Result<(), PickleError> {
        let pairs = pairs(items)?;
        self.push(Node::Map(pairs))
    }

    pub(super) fn append(&mut self, items: &[Ref]) -> Result<(), PickleError> {
        let top = self.top()?;
        match self.heap.get_mut(top) {
            Node::List(list) => list.extend_from_slice(items),
            _ => return underflow("a list"),
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, items: &[Ref]) -> Result<(), PickleError> {
        let more = pairs(items)?;
        let top = self.top()?;
        match self.heap.get_mut(top) {
            Node::Map(pairs) => pairs.extend(more),
            _ => return underflow("a dict"),
        }
        Ok(())
    }

    /// Remembers the top under a number; none: the next one.
    pub(super) fn put(&mut self, number: Option<u32>) -> Result<(), PickleError> {
        let top = self.top()?;
        if self.memo.len() >= VALUES_CAP {
            return Err(PickleError::TooMuch("the allowed number of values"));
        }
        self.memo.put(number.unwrap_or(self.memo.len() as u32), top);
        Ok(())
    }

    pub(super) fn get(&mut self, number: u32) -> Result<(), PickleError> {
        let of = self.memo.get(number).ok_or(PickleError::Memo(number))?;
        self.push_again(of)
    }

    pub(super) fn class(&mut self, module: Cow<'a, str>, name: Cow<'a, str>) -> Result<(), PickleError> {
        if !self.exceptions && Known::of(&module, &name).is_none() {
            return Err(PickleError::Forbidden(format!("{module}.{name}")));
        }
        self.push(Node::Class(module, name))
    }

    /// The class whose module and name are on the stack.
    pub(super) fn stacked_class(&mut self) -> Result<(), PickleError> {
        let (name, module) = (self.pop()?, self.pop()?);
        let (Node::Text(module), Node::Text(name)) = (self.heap.get(module), self.heap.get(name)) else {
            return underflow("a class is named by texts");
        };
        let (module, name) = (module.clone(), name.clone());
        self.class(module, name)
    }

    /// What calling a class with a tuple of arguments makes: without calling anything.
    pub(super) fn call(&mut self) -> Result<(), PickleError> {
        let (arguments, class) = (self.pop()?, self.pop()?);
        let (Node::Tuple(items), Node::Class(module, name)) =
            (self.heap.get(arguments), self.heap.get(class))
        else {
            return underflow("a class and its arguments");
        };
        let Some(known) = Known::of(module, name) else {
            return self.push(Node::Instance { class, arguments });
        };
        let first = items.first().copied();
        match (known, first.map(|first| self.heap.get(first))) {
            (Known::Text, Some(Node::Text(_))) | (Known::Set, Some(Node::List(_) | Node::Tuple(_))) => {
                first.map_or_else(|| underflow("an argument"), |first| self.push_again(first))
            }
            (Known::Map, None) => self.push(Node::Map(Vec::new())),
            (Known::Set, None) => self.push(Node::List(Vec::new())),
            _ => underflow("an argument that fits"),
        }
    }

    /// Gives an instance its state: nothing of it matters here.
    pub(super) fn build(&mut self) -> Result<(), PickleError> {
        self.pop()?;
        let top = self.top()?;
        match self.heap.get(top) {
            Node::Instance { .. } => Ok(()),
            _ => underflow("an instance"),
        }
    }
}

/// What is remembered, by numbers that mostly come one after another.
#[derive(Debug, Default)]
struct Memo {
    /// Those from 0 on without a gap.
    dense: Vec<Ref>,
    sparse: BTreeMap<u32, Ref>,
}

impl Memo {
    fn len(&self) -> usize {
        self.dense.len() + self.sparse.len()
    }

    fn put(&mut self, number: u32, of: Ref) {
        let at = number as usize;
        if let Some(known) = self.dense.get_mut(at) {
            *known = of;
        } else if at > self.dense.len() {
            self.sparse.insert(number, of);
        } else {
            self.sparse.remove(&number);
            self.dense.push(of);
        }
    }

    fn get(&self, number: u32) -> Option<Ref> {
        self.dense.get(number as usize).or_else(|| self.sparse.get(&number)).copied()
    }
}

fn pairs(items: &[Ref]) -> Result<Vec<(Ref, Ref)>, PickleError> {
    if !items.len().is_multiple_of(2) {
        return underflow("a key without a value");
    }
    Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Classes that stand for plain values.
enum Known {
    Text,
    Set,
    Map,
}

impl Known {
    fn of(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("builtins" | "__builtin__", "str" | "unicode") | ("fail2ban.server.ipdns", "IPAddr") => {
                Self::Text
            }
            ("builtins" | "__builtin__", "set" | "frozenset") | ("fail2ban.server.ipdns", "IPAddrSet") => {
                Self::Set
            }
            ("collections", "OrderedDict") => Self::Map,
            _ => return None,
        })
    }
}
