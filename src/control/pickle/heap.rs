//! The values of one pickle while it is read: each once, named by numbers, whatever refers to whatever.
//!
//! Pure. [`Heap::value`] makes a tree of them in the end; a value that is used twice is twice in it, so the tree has
//! limits of its own.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{DEPTH_CAP, PickleError, VALUES_CAP};
use crate::python::{Raised, Value};

/// A value's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ref(u32);

/// One value; what it consists of by numbers.
#[derive(Debug)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(String),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Ref>),
    Tuple(Vec<Ref>),
    Map(Vec<(Ref, Ref)>),
    /// A class, by its module and name.
    Class(Cow<'a, str>, Cow<'a, str>),
    /// What calling a class that is none of ours would have made.
    Instance {
        class: Ref,
        arguments: Ref,
    },
}

/// All of them.
#[derive(Debug)]
pub(super) struct Heap<'a> {
    nodes: Vec<Node<'a>>,
    cap: usize,
}

impl<'a> Heap<'a> {
    /// Empty; values with more than `cap` bytes are not made of it.
    pub(super) fn new(cap: usize) -> Self {
        Self { nodes: Vec::new(), cap }
    }

    /// How many bytes the pickle may have, and what is made of it.
    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Result<Ref, PickleError> {
        if self.nodes.len() >= VALUES_CAP {
            return Err(PickleError::TooMuch("the allowed number of values"));
        }
        let number = Ref(self.nodes.len() as u32);
        self.nodes.push(node);
        Ok(number)
    }

    pub(super) fn get(&self, of: Ref) -> &Node<'a> {
        &self.nodes[of.0 as usize]
    }

    pub(super) fn get_mut(&mut self, of: Ref) -> &mut Node<'a> {
        &mut self.nodes[of.0 as usize]
    }

    /// The tree below a value.
    pub(super) fn value(&self, root: Ref) -> Result<Value, PickleError> {
        Growth { heap: self, values: VALUES_CAP, bytes: self.cap }.value(root, DEPTH_CAP)
    }

    /// An instance as the exception that it is.
    pub(super) fn raised(&self, of: Ref) -> Result<Raised, PickleError> {
        let Node::Instance { class, arguments } = self.get(of) else { return Err(PickleError::NoReply) };
        let Node::Class(module, class) = self.get(*class) else { return Err(PickleError::NoReply) };
        // What Python 2 calls its own exceptions' module.
        let module = if *module == "exceptions" { "builtins" } else { module };
        match self.value(*arguments)? {
            Value::Tuple(arguments) => {
                Ok(Raised { module: module.to_owned(), class: class.clone().into_owned(), arguments })
            }
            _ => Err(PickleError::NoReply),
        }
    }
}

/// What may still be made of a heap.
struct Growth<'h, 'a> {
    heap: &'h Heap<'a>,
    values: usize,
    bytes: usize,
}

impl Growth<'_, '_> {
    fn value(&mut self, of: Ref, depth: usize) -> Result<Value, PickleError> {
        let depth = depth.checked_sub(1).ok_or(PickleError::TooDeep)?;
        self.values =
            self.values.checked_sub(1).ok_or(PickleError::TooMuch("the allowed number of values"))?;
        let heap = self.heap;
        Ok(match heap.get(of) {
            Node::None => Value::None,
            Node::Bool(yes) => Value::Bool(*yes),
            Node::Float(number) => Value::Float(*number),
            Node::Int(digits) => Value::Int(self.text(digits)?),
            Node::Text(text) => Value::Text(self.text(text)?),
            Node::List(items) => Value::List(self.values(items, depth)?),
            Node::Tuple(items) => Value::Tuple(self.values(items, depth)?),
            Node::Map(pairs) => Value::Map(self.map(pairs, depth)?),
            Node::Class(module, class) => return Err(PickleError::Forbidden(format!("{module}.{class}"))),
            Node::Instance { class, arguments } => self.cause(*class, *arguments, depth)?,
        })
    }

    fn values(&mut self, items: &[Ref], depth: usize) -> Result<Vec<Value>, PickleError> {
        // A list may be named by millions, so its length counts before there is room for it.
        if items.len() > self.values {
            return Err(PickleError::TooMuch("the allowed number of values"));
        }
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.value(*item, depth)?);
        }
        Ok(values)
    }

    fn text(&mut self, text: &str) -> Result<String, PickleError> {
        self.bytes =
            self.bytes.checked_sub(text.len()).ok_or(PickleError::TooMuch("the allowed number of bytes"))?;
        Ok(text.to_owned())
    }

    /// Of a key that comes twice the place of the first and the value of the last counts, as in Python.
    fn map(&mut self, pairs: &[(Ref, Ref)], depth: usize) -> Result<Vec<(Value, Value)>, PickleError> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut map: Vec<(Value, Value)> = Vec::new();
        for (key, value) in pairs {
            let (key, value) = (self.value(*key, depth)?, self.value(*value, depth)?);
            if matches!(key, Value::List(_) | Value::Map(_)) {
                return Err(PickleError::Malformed("key of a dict"));
            }
            match places.entry(key.to_string()) {
                std::collections::hash_map::Entry::Occupied(place) => map[*place.get()].1 = value,
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(map.len());
                    map.push((key, value));
                }
            }
        }
        Ok(map)
    }

    /// An exception within what another one was raised with: what is printed of it.
    fn cause(&mut self, class: Ref, arguments: Ref, depth: usize) -> Result<Value, PickleError> {
        let heap = self.heap;
        let Node::Class(module, name) = heap.get(class) else { return Err(PickleError::NoReply) };
        match (&**module, self.value(arguments, depth)?) {
            ("builtins" | "exceptions" | "fail2ban.exceptions", Value::Tuple(arguments)) => {
                Ok(Value::Text(match &arguments[..] {
                    [] => String::new(),
                    [only] => only.print(),
                    _ => Value::Tuple(arguments).to_string(),
                }))
            }
            _ => Err(PickleError::Forbidden(format!("{module}.{name}"))),
        }
    }
}
