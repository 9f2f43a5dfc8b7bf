//! Tensors of a pickle, read without executing anything.
//!
//! A pickle is a program for a stack machine, and Python's would call any function that it names. This one knows the
//! opcodes that PyTorch's own files consist of, builds nothing but plain values and descriptions of tensors, and refuses
//! every other name. Values live in one list and refer to each other by position, so that hostile nesting costs neither
//! recursion nor more memory than the pickle has bytes. (Crates that read PyTorch files bring a tensor library along,
//! and allocate what a file announces.)
//!
//! Opcodes: Python's `pickletools`. Shape of a tensor's description: PyTorch's `torch/_utils.py`,
//! `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`, where the storage is the persistent id
//! `("storage", type, key, location, elements)`.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Element, Foreign, WeightsError};

/// Keys under which training scripts put the state dict, outermost first; OpenAI's is the first.
const STATE_KEYS: [&str; 2] = ["model_state_dict", "state_dict"];

/// Description of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// Key of the storage.
    pub storage: String,
    /// Type of the storage's elements.
    pub element: Element,
    /// First element.
    pub offset: usize,
    /// Elements by dimension.
    pub shape: Vec<usize>,
    /// Elements between neighbours of each dimension.
    pub strides: Vec<usize>,
}

/// What a pickle holds.
#[derive(Debug, Default)]
pub(super) struct Pickled {
    /// Tensors of the state dict, in file order.
    pub tensors: Vec<(String, Tensor)>,
    /// Integers of the dictionary `dims` beside it.
    pub sizes: Vec<(String, i64)>,
}

/// Reads a pickle of a state dict.
///
/// # Errors
/// When it is malformed, or names anything that tensors do not need.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Pickled, WeightsError> {
    let mut machine = Machine {
        path,
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
    };
    let root = machine.run()?;
    machine.collect(root)
}

/// Position in the list of values.
type Id = usize;

#[derive(Clone, Debug)]
enum Value {
    /// None, booleans, floats: nothing that describes a tensor.
    Plain,
    Int(i64),
    Text(String),
    Items(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A storage's type.
    Type(Element),
    /// `collections.OrderedDict`.
    NewDict,
    /// `_rebuild_tensor_v2`.
    NewTensor,
    /// `_rebuild_parameter`, whose first argument is a tensor.
    NewParameter,
    Storage(Element, String),
    Tensor(Tensor),
}

struct Machine<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
}

type Step<T> = Result<T, WeightsError>;

impl Machine<'_> {
    /// Runs the program; the value it leaves.
    fn run(&mut self) -> Step<Id> {
        loop {
            let [opcode] = self.take()?;
            match opcode {
                0x80 => drop(self.take::<1>()?),
                0x95 => drop(self.take::<8>()?),
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.marked()?),
                b'N' | 0x88 | 0x89 => self.push(Value::Plain),
                b'G' => {
                    self.take::<8>()?;
                    self.push(Value::Plain);
                }
                b'K' => {
                    let [byte] = self.take()?;
                    self.push(Value::Int(byte.into()));
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.take()?);
                    self.push(Value::Int(value.into()));
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.take()?);
                    self.push(Value::Int(value.into()));
                }
                0x8a => self.long()?,
                b'X' => {
                    let length = u32::from_le_bytes(self.take()?);
                    self.text(length as usize)?;
                }
                0x8c | b'U' => {
                    let [length] = self.take()?;
                    self.text(length.into())?;
                }
                b'}' => self.push(Value::Dict(Vec::new())),
                b']' | b')' => self.push(Value::Items(Vec::new())),
                b't' | b'l' => {
                    let items = self.marked()?;
                    self.push(Value::Items(items));
                }
                0x85..=0x87 => {
                    let first = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                    let first = first.ok_or_else(|| self.malformed("the stack is empty"))?;
                    let items = self.stack.split_off(first);
                    self.push(Value::Items(items));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.marked()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.insert(&[key, value])?;
                }
                b'u' => {
                    let items = self.marked()?;
                    self.insert(&items)?;
                }
                b'q' => {
                    let [key] = self.take()?;
                    self.memoize(key.into())?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.take()?);
                    self.memoize(key)?;
                }
                0x94 => self.memoize(self.memo.len() as u32)?,
                b'h' => {
                    let [key] = self.take()?;
                    self.recall(key.into())?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.take()?);
                    self.recall(key)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(&module, &name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (module, name) = (self.as_text(module)?, self.as_text(name)?);
                    self.global(&module, &name)?;
                }
                b'Q' => self.storage()?,
                b'R' => self.call()?,
                // State set on an object after it was made: PyTorch's is the version of each module.
                b'b' => drop(self.pop()?),
                other => {
                    return Err(
                        self.malformed(&format!("opcode {other:#04x} does not occur in PyTorch's files"))
                    );
                }
            }
        }
    }

    /// The state dict's tensors, and the sizes beside it.
    fn collect(&self, root: Id) -> Step<Pickled> {
        let mut found = Pickled::default();
        let entries = |id: Id| match &self.values[id] {
            Value::Dict(entries) => Some(entries),
            _ => None,
        };
        let Some(mut state) = entries(root) else { return Err(self.malformed("it holds no dictionary")) };
        let get = |dict: &[(Id, Id)], key: &str| {
            let same = |(k, _): &&(Id, Id)| matches!(&self.values[*k], Value::Text(text) if text == key);
            dict.iter().find(same).and_then(|(_, v)| entries(*v))
        };
        for (key, value) in get(state, "dims").into_iter().flatten() {
            if let (Value::Text(key), Value::Int(n)) = (&self.values[*key], &self.values[*value]) {
                found.sizes.push((key.clone(), *n));
            }
        }
        if let Some(inner) = STATE_KEYS.iter().find_map(|key| get(state, key)) {
            state = inner;
        }
        for (key, value) in state {
            if let (Value::Text(key), Value::Tensor(tensor)) = (&self.values[*key], &self.values[*value]) {
                found.tensors.push((key.clone(), tensor.clone()));
            }
        }
        Ok(found)
    }

    /// The only names that mean anything here.
    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        let foreign = |of| Value::Type(Element::Foreign(of));
        let value = match (module, name) {
            ("collections", "OrderedDict") => Value::NewDict,
            ("torch._utils", "_rebuild_tensor_v2") => Value::NewTensor,
            ("torch._utils", "_rebuild_parameter") => Value::NewParameter,
            ("torch", "FloatStorage") => Value::Type(Element::F32),
            ("torch", "HalfStorage") => Value::Type(Element::F16),
            ("torch", "BFloat16Storage") => Value::Type(Element::BF16),
            ("torch", "DoubleStorage") => foreign(Foreign::F64),
            ("torch", "LongStorage") => foreign(Foreign::I64),
            ("torch", "IntStorage") => foreign(Foreign::I32),
            ("torch", "ShortStorage") => foreign(Foreign::I16),
            ("torch", "CharStorage") => foreign(Foreign::I8),
            ("torch", "ByteStorage") => foreign(Foreign::U8),
            ("torch", "BoolStorage") => foreign(Foreign::Bool),
            _ => {
                let (path, name) = (self.path.to_path_buf(), format!("{module}.{name}"));
                return Err(WeightsError::Forbidden { path, at: self.at, name });
            }
        };
        self.push(value);
        Ok(())
    }

    /// The persistent id on the stack becomes the storage it names.
    fn storage(&mut self) -> Step<()> {
        let id = self.pop()?;
        let storage = match &self.values[id] {
            Value::Items(items) => match items[..] {
                [_, kind, key, ..] => match (&self.values[kind], &self.values[key]) {
                    (Value::Type(element), Value::Text(key)) => Some((*element, key.clone())),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        let (element, key) = storage.ok_or_else(|| self.malformed("a persistent id is no storage"))?;
        self.push(Value::Storage(element, key));
        Ok(())
    }

    /// Calls one of the known functions.
    fn call(&mut self) -> Step<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Items(arguments) = &self.values[arguments] else {
            return Err(self.malformed("a call has no arguments"));
        };
        match (&self.values[function], &arguments[..]) {
            // Its arguments, if any, would be entries; PyTorch's files add them afterwards.
            (Value::NewDict, _) => self.push(Value::Dict(Vec::new())),
            (Value::NewParameter, [data, ..]) => self.stack.push(*data),
            (Value::NewTensor, [storage, offset, shape, strides, ..]) => {
                let Value::Storage(element, key) = &self.values[*storage] else {
                    return Err(self.malformed("a tensor has no storage"));
                };
                let tensor = Tensor {
                    storage: key.clone(),
                    element: *element,
                    offset: self.size(*offset)?,
                    shape: self.sizes(*shape)?,
                    strides: self.sizes(*strides)?,
                };
                self.push(Value::Tensor(tensor));
            }
            _ => return Err(self.malformed("it calls something that is no function")),
        }
        Ok(())
    }

    fn size(&self, id: Id) -> Step<usize> {
        match self.values[id] {
            Value::Int(n) => usize::try_from(n).map_err(|_| self.malformed("a size is negative")),
            _ => Err(self.malformed("a size is no number")),
        }
    }

    fn sizes(&self, id: Id) -> Step<Vec<usize>> {
        match &self.values[id] {
            Value::Items(items) => items.iter().map(|n| self.size(*n)).collect(),
            _ => Err(self.malformed("a shape is no tuple")),
        }
    }

    /// An integer of up to eight bytes, in two's complement.
    fn long(&mut self) -> Step<()> {
        let [length] = self.take()?;
        let bytes = self.slice(length.into())?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        let known = bytes.len() <= 8;
        if known {
            wide[..bytes.len()].copy_from_slice(bytes);
        }
        self.push(if known { Value::Int(i64::from_le_bytes(wide)) } else { Value::Plain });
        Ok(())
    }

    fn text(&mut self, length: usize) -> Step<()> {
        let text = String::from_utf8_lossy(self.slice(length)?).into_owned();
        self.push(Value::Text(text));
        Ok(())
    }

    fn as_text(&self, id: Id) -> Step<String> {
        match &self.values[id] {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.malformed("a name is no text")),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Step<()> {
        match self.stack.last().map(|id| &mut self.values[*id]) {
            Some(Value::Items(list)) => list.extend(items),
            _ => return Err(self.malformed("it appends to no list")),
        }
        Ok(())
    }

    fn insert(&mut self, pairs: &[Id]) -> Step<()> {
        match self.stack.last().map(|id| &mut self.values[*id]) {
            Some(Value::Dict(dict)) => dict.extend(pairs.chunks_exact(2).map(|p| (p[0], p[1]))),
            _ => return Err(self.malformed("it inserts into no dictionary")),
        }
        Ok(())
    }

    fn memoize(&mut self, key: u32) -> Step<()> {
        let top = *self.stack.last().ok_or_else(|| self.malformed("the stack is empty"))?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Step<()> {
        let id =
            *self.memo.get(&key).ok_or_else(|| self.malformed("it recalls a value that was never kept"))?;
        self.stack.push(id);
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Step<Id> {
        let above = self.stack.len() > self.marks.last().copied().unwrap_or(0);
        let top = if above { self.stack.pop() } else { None };
        top.ok_or_else(|| self.malformed("the stack is empty"))
    }

    /// Everything above the last mark.
    fn marked(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("there is no mark"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn take<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.slice(N)?);
        Ok(bytes)
    }

    fn slice(&mut self, length: usize) -> Step<&[u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.malformed("it ends early"))?;
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }

    fn line(&mut self) -> Step<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or_else(|| self.malformed("it ends early"))?;
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn malformed(&self, what: &str) -> WeightsError {
        let what = format!("at byte {}: {what}", self.at);
        WeightsError::Malformed { path: self.path.to_path_buf(), format: "pickle", what }
    }
}
