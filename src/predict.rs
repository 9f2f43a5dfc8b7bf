//! From simulated cycles to the time of a first run, with the host's part.

use kiln_dsl::device::{Device, Profile};
use kiln_sim::report::Bottleneck;
use kiln_sim::trace::Trace;
use std::collections::BTreeSet;

/// One dispatch of a design, as simulated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launch {
    /// Name of the design.
    pub design: String,
    /// Name of the program that it loads: designs that differ in their sequences only share it.
    pub program: String,
    /// Host buffers of its sequence.
    pub buffers: usize,
    /// From the first command of the sequence to the end of its last.
    pub cycles: u64,
    /// Part of that in which the controller worked on commands.
    pub controller_cycles: u64,
    /// What cores wait for longest.
    pub bottleneck: Option<Bottleneck>,
    /// What happened when, if asked for.
    pub trace: Trace,
}

/// Predicted time of a sequence of dispatches, nothing of which was done before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Cores, DMAs and streams at work while the controller waits.
    pub array_ms: f64,
    /// The controller: starting each dispatch and its commands.
    pub controller_ms: f64,
    /// Launching each dispatch from the host.
    pub launch_ms: f64,
    /// Changing from one design to another.
    pub switch_ms: f64,
    /// Making contexts of designs and mapping their buffers.
    pub setup_ms: f64,
}

impl Prediction {
    /// Of `launches`, in order, on a machine of `profile`.
    ///
    /// Cycles are the simulation's; each dispatch adds the controller's start. Host costs are the device description's:
    /// a launch per dispatch, a switch where the design is not the one before, a context per design, made again when
    /// more designs take turns than contexts can live (the one longest unused goes), and a mapping for each buffer of a
    /// design, once.
    pub fn new(launches: &[Launch], device: &Device, profile: &Profile) -> Prediction {
        let host = &device.host;
        let ms = |cycles: u64| profile.us(cycles) / 1e3;
        let total: u64 = launches.iter().map(|l| l.cycles).sum();
        let controller: u64 = launches.iter().map(|l| l.controller_cycles).sum();
        let starts = launches.len() as u64 * u64::from(device.controller.dispatch_start_cycles());
        let switches = launches.windows(2).filter(|pair| pair[0].program != pair[1].program).count();
        let contexts = contexts_made(launches, host.hardware_contexts_max() as usize);
        let mut mapped = BTreeSet::new();
        let buffers: usize =
            launches.iter().filter(|l| mapped.insert(l.design.as_str())).map(|l| l.buffers).sum();
        Prediction {
            array_ms: ms(total.saturating_sub(controller)),
            controller_ms: ms(controller + starts),
            launch_ms: launches.len() as f64 * host.launch_us() / 1e3,
            switch_ms: switches as f64 * host.design_switch_us() / 1e3,
            setup_ms: (contexts as f64 * host.context_create_us() + buffers as f64 * host.buffer_map_us())
                / 1e3,
        }
    }

    /// The host's part.
    pub fn dispatch_ms(&self) -> f64 {
        self.launch_ms + self.switch_ms + self.setup_ms
    }

    /// All of it.
    pub fn total_ms(&self) -> f64 {
        self.array_ms + self.controller_ms + self.dispatch_ms()
    }
}

/// How often a context is made when at most `limit` live at a time.
fn contexts_made(launches: &[Launch], limit: usize) -> usize {
    let (mut alive, mut made): (Vec<&str>, usize) = (Vec::new(), 0);
    for launch in launches {
        match alive.iter().position(|name| *name == launch.program) {
            Some(at) => {
                alive.remove(at);
            }
            None => {
                made += 1;
                if alive.len() >= limit.max(1) {
                    alive.remove(0);
                }
            }
        }
        alive.push(&launch.program);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(design: &str) -> Launch {
        Launch {
            design: design.into(),
            program: design.into(),
            buffers: 3,
            cycles: 50_000,
            controller_cycles: 20_000,
            ..Launch::default()
        }
    }

    #[test]
    fn parts_come_from_the_device_description() {
        let device = Device::npu1();
        let profile = device.profile("phoenix-laptop").unwrap();
        let launches = [launch("a"), launch("a"), launch("b")];
        let p = Prediction::new(&launches, device, profile);
        // 1000 MHz: a cycle is a nanosecond.
        assert!((p.array_ms - 3.0 * 0.030).abs() < 1e-9, "{p:?}");
        assert!((p.controller_ms - 3.0 * (0.020 + 0.0305)).abs() < 1e-9, "{p:?}");
        assert!((p.launch_ms - 3.0 * 0.110).abs() < 1e-9, "{p:?}");
        assert!((p.switch_ms - 1.405).abs() < 1e-9, "{p:?}");
        assert!((p.setup_ms - 2.0 * (2.5 + 3.0 * 0.064)).abs() < 1e-9, "{p:?}");
        let sum = p.array_ms + p.controller_ms + p.launch_ms + p.switch_ms + p.setup_ms;
        assert!((p.total_ms() - sum).abs() < 1e-9);
    }

    #[test]
    fn a_faster_clock_leaves_the_host_as_slow() {
        let device = Device::npu1();
        let [slow, fast] = ["phoenix-laptop", "desktop-8700g"].map(|n| device.profile(n).unwrap());
        let launches = [launch("a"), launch("b")];
        let [slow, fast] = [slow, fast].map(|p| Prediction::new(&launches, device, p));
        assert!(fast.array_ms < slow.array_ms && fast.controller_ms < slow.controller_ms);
        assert!((fast.dispatch_ms() - slow.dispatch_ms()).abs() < 1e-12);
    }

    #[test]
    fn sequences_of_one_program_need_no_switch() {
        let device = Device::npu1();
        let profile = device.profile("phoenix-laptop").unwrap();
        let two = ["a", "b"].map(|design| Launch { program: "p".into(), ..launch(design) });
        let p = Prediction::new(&two, device, profile);
        assert!(p.switch_ms == 0.0 && (p.setup_ms - (2.5 + 6.0 * 0.064)).abs() < 1e-9, "{p:?}");
    }

    #[test]
    fn designs_in_turns_beyond_the_limit_are_made_again() {
        let turns: Vec<Launch> = ["a", "b", "c", "a", "b", "c"].map(launch).into();
        assert_eq!(contexts_made(&turns, 3), 3);
        assert_eq!(contexts_made(&turns, 2), 6);
        let kept: Vec<Launch> = ["a", "b", "a", "c", "a"].map(launch).into();
        assert_eq!(contexts_made(&kept, 2), 3);
    }
}
