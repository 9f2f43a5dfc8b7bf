//! Workloads: what an entry says ran, and the kinds that know how to build and simulate it.
//!
//! A kind is a struct that serde reads from the map, strictly, and that implements [`Workload`]. To add one: write it in
//! a file of its own under `core/` or `array/`, list it in [`KINDS`], and describe it in `docs/validation.md`.

use super::file::{Measured, kind_names, kind_of};
use super::names;
use super::report::Role;
use super::{array, core};
use kiln_dsl::device::{Compiler, Device, Profile};
use kiln_sim::core::{CoreModel, Hints};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

/// What something runs on.
#[derive(Clone, Debug)]
pub struct Conditions<'a> {
    /// The device.
    pub device: &'a Device,
    /// Its clock and memory rate; the clock is the entry's where it has one.
    pub profile: Profile,
    /// Who turned the source code into bundles.
    pub compiler: Compiler,
}

impl Conditions<'_> {
    /// Cycles a second.
    pub fn clock_hz(&self) -> f64 {
        f64::from(self.profile.clock_mhz()) * 1e6
    }

    /// Cores and compiler, for core time.
    pub fn core(&self) -> CoreModel<'_> {
        CoreModel { device: self.device, compiler: self.compiler, hints: Hints::Written }
    }
}

/// What the simulation of a workload found out. Quantities that a kind does not have are 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Time of what was measured, in cycles of the array.
    pub cycles: f64,
    /// Time on the host that belongs to the measurement and does not change with the clock, in microseconds.
    pub host_us: f64,
    /// Multiply-accumulates in that time.
    pub macs: f64,
    /// Multiply-accumulates a cycle that the cores in use could do.
    pub peak_macs_per_cycle: f64,
    /// Bytes moved in that time, as the measurement counts them.
    pub bytes: f64,
    /// Further numbers by name: those of `Workload::QUANTITIES`.
    pub quantities: Vec<(&'static str, f64)>,
}

impl Outcome {
    /// A further number.
    pub fn quantity(&self, name: &str) -> Option<f64> {
        self.quantities.iter().find(|(n, _)| *n == name).map(|&(_, value)| value)
    }
}

/// A kind of workload: the fields of its map, and how to simulate it.
pub trait Workload: DeserializeOwned + Send + Sync + 'static {
    /// Name in `kind:`.
    const KIND: &'static str;
    /// Names of the numbers beside time that it gives, which `observe` and `components` may name.
    const QUANTITIES: &'static [&'static str];

    /// The group of the report that it counts in beside that of its area, if any: measurements that have a target of their
    /// own.
    fn group(&self) -> Option<String> {
        None
    }

    /// Builds it and simulates it.
    ///
    /// # Errors
    /// Why this workload cannot be built or simulated: what is expected and what it has.
    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String>;
}

/// A workload of any kind.
pub(super) trait Simulate: Send + Sync {
    fn group(&self) -> Option<String>;
    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String>;
}

impl<W: Workload> Simulate for W {
    fn group(&self) -> Option<String> {
        Workload::group(self)
    }
    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        Workload::simulate(self, conditions)
    }
}

/// What a kind of workload is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// The time of code on a core.
    Core,
    /// Transfers and designs.
    Array,
}

impl Area {
    /// Name of its group in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Area::Core => "core",
            Area::Array => "array",
        }
    }
}

/// A kind in the list of all.
pub struct Kind {
    /// Name in `kind:`.
    pub name: &'static str,
    /// Numbers beside time.
    pub quantities: &'static [&'static str],
    /// Whether it runs on one core or on the array.
    pub area: Area,
    read: fn(Value) -> Result<Box<dyn Simulate>, String>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Kind {
    const fn of<W: Workload>(area: Area) -> Kind {
        Kind {
            name: W::KIND,
            quantities: W::QUANTITIES,
            area,
            read: |map| match serde_yaml::from_value::<W>(map) {
                Ok(workload) => Ok(Box::new(workload)),
                Err(e) => Err(e.to_string()),
            },
        }
    }
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind::of::<array::chain::ChainStage>(Area::Array),
    Kind::of::<array::core_stream::CoreStream>(Area::Array),
    Kind::of::<array::ddr_passthrough::DdrPassthrough>(Area::Array),
    Kind::of::<array::dispatch::Dispatch>(Area::Array),
    Kind::of::<array::eltwise_array::EltwiseArray>(Area::Array),
    Kind::of::<array::gemm_array::GemmArray>(Area::Array),
    Kind::of::<array::memtile_stream::MemtileStream>(Area::Array),
    Kind::of::<array::shim_task::ShimTask>(Area::Array),
    Kind::of::<core::conv2d::Conv2d>(Area::Core),
    Kind::of::<core::eltwise::Eltwise>(Area::Core),
    Kind::of::<core::vector_scalar_mul::VectorScalarMul>(Area::Core),
    Kind::of::<core::gemm_core::GemmCore>(Area::Core),
    Kind::of::<core::loops::Loop>(Area::Core),
    Kind::of::<core::paired_loads::PairedLoads>(Area::Core),
    Kind::of::<core::reduce::Reduce>(Area::Core),
    Kind::of::<core::softmax::Softmax>(Area::Core),
];

/// What is said of every kind, beside its own fields.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    /// Clock of the array.
    pub clock_ghz: Option<f64>,
    /// Profile of the device for clock and memory.
    pub profile: Option<String>,
    #[serde(default, deserialize_with = "names::compiler")]
    pub compiler: Option<Compiler>,
    /// Cycles of the measurement around what the workload says, such as those of the trace events.
    #[serde(default)]
    pub offset_cycles: f64,
    /// Which number is measured; that of the unit if absent.
    pub observe: Option<String>,
    pub role: Option<Role>,
}

/// One number to predict.
pub(super) struct Task {
    pub component: Option<String>,
    pub measured: f64,
    pub role: Role,
    pub common: Common,
    pub kind: &'static Kind,
    pub workload: Box<dyn Simulate>,
    /// The map that the workload was read from.
    pub fields: Mapping,
    /// Kind and map, with what it runs on: equal keys, equal outcomes.
    pub key: String,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key)
    }
}

/// What is to be done about an entry.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing.
    NotModelled { kind: Option<String>, reason: String, role: Role },
    /// Simulations, one a number; equal ones are run once.
    Tasks { tasks: Vec<Task> },
}

const COMMON: [&str; 6] = ["clock_ghz", "profile", "compiler", "offset_cycles", "observe", "role"];

/// One number of a list: `name`, or a map with changes to the workload.
#[derive(Clone, Debug, Default)]
struct Component {
    name: Option<String>,
    changes: Mapping,
}

impl Plan {
    /// Reads the workload of an entry.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(entry: &Measured) -> Result<Plan, Vec<String>> {
        let not = |kind, reason: &str| {
            Ok(Plan::NotModelled { kind, reason: reason.to_owned(), role: Role::Target })
        };
        let Some(workload) = &entry.workload else { return not(None, "the entry has no workload") };
        let Value::Mapping(map) = workload else {
            return Err(vec!["workload: expected a map with `kind`".to_owned()]);
        };
        let Some(name) = kind_of(entry) else {
            return Err(vec![format!("workload: expected `kind`, one of {}", kind_names())]);
        };
        let Some(kind) = KINDS.iter().find(|k| k.name == name) else {
            return not(Some(name.clone()), &format!("no kind of workload is named \"{name}\""));
        };
        let mut map = map.clone();
        map.remove("kind");
        let components = map.remove("components");
        let series = map.remove("series");
        let numbers = numbers(entry, kind, components.as_ref(), series.as_ref())?;
        let mut wrong = Vec::new();
        let mut tasks = Vec::new();
        for (component, measured) in numbers {
            let mut fields = map.clone();
            fields.extend(component.changes.clone());
            match task(kind, fields, component.name.clone(), measured) {
                Ok(task) => tasks.push(task),
                Err(e) => {
                    let at = component.name.map(|c| format!(" [{c}]")).unwrap_or_default();
                    let message = format!("workload of kind {}{at}: {e}", kind.name);
                    if !wrong.contains(&message) {
                        wrong.push(message);
                    }
                }
            }
        }
        if wrong.is_empty() { Ok(Plan::Tasks { tasks }) } else { Err(wrong) }
    }
}

fn task(
    kind: &'static Kind,
    mut fields: Mapping,
    component: Option<String>,
    measured: f64,
) -> Result<Task, String> {
    let mut common = Mapping::new();
    for name in COMMON {
        if let Some(value) = fields.remove(name) {
            common.insert(name.into(), value);
        }
    }
    let common: Common = serde_yaml::from_value(Value::Mapping(common)).map_err(|e| e.to_string())?;
    if common.clock_ghz.is_some_and(|ghz| !(0.1..=10.0).contains(&ghz)) {
        return Err(format!("clock_ghz: {:?}, expected 0.1 to 10 GHz", common.clock_ghz));
    }
    if let Some(observe) = common.observe.as_deref().filter(|o| !kind.quantities.contains(o)) {
        return Err(format!("observe: no number \"{observe}\", expected {}", known(kind)));
    }
    let on = format!("{:?} {:?} {:?}", common.clock_ghz, common.profile, common.compiler);
    let key = format!("{} {on} {}", kind.name, serde_yaml::to_string(&fields).map_err(|e| e.to_string())?);
    let workload = (kind.read)(Value::Mapping(fields.clone()))?;
    let role = common.role.unwrap_or(Role::Target);
    Ok(Task { component, measured, role, common, kind, workload, fields, key })
}

fn known(kind: &Kind) -> String {
    if kind.quantities.is_empty() {
        format!("none: {} gives time only", kind.name)
    } else {
        kind.quantities.join(", ")
    }
}

/// The measured numbers of an entry, each with its name and its changes to the workload.
fn numbers(
    entry: &Measured,
    kind: &Kind,
    components: Option<&Value>,
    series: Option<&Value>,
) -> Result<Vec<(Component, f64)>, Vec<String>> {
    let number = |value: &Value| {
        value.as_f64().ok_or_else(|| vec![format!("value: expected a number, got {}", shown(value))])
    };
    let list = match &entry.value {
        Value::Sequence(list) => list,
        one => {
            let component = match components {
                Some(Value::Sequence(names)) => match names.as_slice() {
                    [name] => read_component(name, kind).map_err(|e| vec![e])?,
                    names => return Err(vec![format!("components: {} names for one number", names.len())]),
                },
                _ => Component::default(),
            };
            return Ok(vec![(component, number(one)?)]);
        }
    };
    if let Some(series) = series {
        return list.iter().map(|row| read_row(row, series).map_err(|e| vec![e])).collect();
    }
    let Some(Value::Sequence(names)) = components else {
        let help = "`components`, a list of their names";
        return Err(vec![format!("value: a list of {} numbers needs {help} in the workload", list.len())]);
    };
    if names.len() != list.len() {
        return Err(vec![format!("components: {} names for {} numbers", names.len(), list.len())]);
    }
    let mut all = Vec::new();
    for (name, value) in names.iter().zip(list) {
        all.push((read_component(name, kind).map_err(|e| vec![e])?, number(value)?));
    }
    Ok(all)
}

/// `name` of a number that the kind gives, or a map of a name and changes to the workload.
fn read_component(value: &Value, kind: &Kind) -> Result<Component, String> {
    match value {
        Value::String(name) if kind.quantities.contains(&name.as_str()) => {
            let changes = Mapping::from_iter([("observe".into(), value.clone())]);
            Ok(Component { name: Some(name.clone()), changes })
        }
        Value::String(name) => Err(format!(
            "components: no number \"{name}\", expected {}; a name of your own is written {{name: {name}}}",
            known(kind)
        )),
        Value::Mapping(map) => {
            let mut changes = map.clone();
            let name = changes.remove("name");
            let name = name.as_ref().or(map.get("observe")).and_then(Value::as_str).map(str::to_owned);
            if name.is_none() {
                return Err(format!("components: {} has no `name`", shown(value)));
            }
            Ok(Component { name, changes })
        }
        other => Err(format!("components: expected names or maps, got {}", shown(other))),
    }
}

/// A row of a series: values of the fields that `series` names, then what was measured.
fn read_row(row: &Value, series: &Value) -> Result<(Component, f64), String> {
    let fields: Option<Vec<&str>> =
        series.as_sequence().map(|s| s.iter().filter_map(Value::as_str).collect());
    let Some(fields) = fields.filter(|f| !f.is_empty()) else {
        return Err("series: expected a list of fields of the workload".to_owned());
    };
    let row = row.as_sequence().filter(|row| row.len() == fields.len() + 1);
    let Some((measured, given)) = row.and_then(|row| row.split_last()) else {
        return Err(format!("value: expected rows of {} and a measured number", fields.join(", ")));
    };
    let Some(measured) = measured.as_f64() else {
        return Err(format!("value: expected a number, got {}", shown(measured)));
    };
    let changes: Mapping = fields.iter().map(|&f| f.into()).zip(given.iter().cloned()).collect();
    let shown: Vec<String> = fields.iter().zip(given).map(|(f, v)| format!("{f} {}", shown(v))).collect();
    Ok((Component { name: Some(shown.join(" ")), changes }, measured))
}

/// A value as it stands in a message.
fn shown(value: &Value) -> String {
    serde_yaml::to_string(value).map(|text| text.trim().replace('\n', ", ")).unwrap_or_default()
}
