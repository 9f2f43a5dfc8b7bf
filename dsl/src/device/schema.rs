//! The schema of a device description: every field, its meaning and its unit.
//!
//! `section!` makes, from one list of fields, the struct, its typed reader, its structural check and
//! one accessor per number, so that `device.core.data_memory_bytes()` is the number and
//! `device.core.data_memory_bytes.source` says where it is from.

use super::check::{Check, fields, join, word};
use super::error::Problem;
use super::node::{Mark, Node};
use super::sourced::Sourced;
use indexmap::IndexMap;
use serde::Deserialize;

macro_rules! section {
    (
        $(#[$doc:meta])* $name:ident {
            $($(#[$num_doc:meta])* $num:ident: $num_ty:ty,)*
        }
        $(lists { $($(#[$list_doc:meta])* $list:ident: $item:ty,)* })?
        $(sections { $($(#[$sub_doc:meta])* $sub:ident: $sub_ty:ty,)* })?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$num_doc])* pub $num: Sourced<$num_ty>,)*
            $($($(#[$list_doc])* pub $list: Sourced<Vec<$item>>,)*)?
            $($($(#[$sub_doc])* pub $sub: $sub_ty,)*)?
        }

        impl $name {
            $($(#[$num_doc])* pub fn $num(&self) -> $num_ty { self.$num.value })*
            $($($(#[$list_doc])* pub fn $list(&self) -> &[$item] { &self.$list.value })*)?
        }

        impl Check for $name {
            fn check(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>) {
                let required = [
                    $(stringify!($num),)*
                    $($(stringify!($list),)*)?
                    $($(stringify!($sub),)*)?
                ];
                for entry in fields(node, at, path, &required, &[], out) {
                    let inner = join(path, &entry.key);
                    match entry.key.as_str() {
                        $(stringify!($num) => <Sourced<$num_ty>>::check(&entry.node, entry.key_mark, &inner, out),)*
                        $($(stringify!($list) => <Sourced<Vec<$item>>>::check(&entry.node, entry.key_mark, &inner, out),)*)?
                        $($(stringify!($sub) => <$sub_ty>::check(&entry.node, entry.key_mark, &inner, out),)*)?
                        _ => {}
                    }
                }
            }
        }
    };
}

/// A memory that a core can load from and store to, seen from its tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbour {
    /// Its own.
    Own,
    /// That of the core above.
    North,
    /// That of the core below.
    South,
    /// That of the core to the left.
    West,
    /// That of the core to the right.
    East,
}

impl Check for Neighbour {
    fn check(node: &Node, _: Mark, path: &str, out: &mut Vec<Problem>) {
        word(node, path, &["own", "north", "south", "west", "east"], out);
    }
}

/// A direction of the cascade between two neighbouring cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CascadeDirection {
    /// From a core to the one below.
    NorthToSouth,
    /// From a core to the one on its right.
    WestToEast,
}

impl Check for CascadeDirection {
    fn check(node: &Node, _: Mark, path: &str, out: &mut Vec<Problem>) {
        word(node, path, &["north_to_south", "west_to_east"], out);
    }
}

/// A group of ports of a stream switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchBundle {
    /// The core.
    Core,
    /// The tile's DMA channels.
    Dma,
    /// The tile's control port.
    Control,
    /// The switch's FIFO.
    Fifo,
    /// The tile below; at the shim, its DMA and the host interconnect.
    South,
    /// The tile on the left.
    West,
    /// The tile above.
    North,
    /// The tile on the right.
    East,
    /// The trace units.
    Trace,
}

impl SwitchBundle {
    /// All of them, by the names that a description has.
    pub const NAMES: [&'static str; 9] =
        ["core", "dma", "control", "fifo", "south", "west", "north", "east", "trace"];

    /// Its name in a description.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl Check for SwitchBundle {
    fn check(node: &Node, _: Mark, path: &str, out: &mut Vec<Problem>) {
        word(node, path, &SwitchBundle::NAMES, out);
    }
}

section! {
    /// The array of tiles.
    Geometry {
        /// Columns a design can use, numbered from 0.
        columns: u32,
        /// Rows, numbered from 0 at the bottom.
        rows: u32,
    }
    lists {
        /// Rows of shim tiles.
        shim_rows: u32,
        /// Rows of mem tiles.
        mem_rows: u32,
        /// Rows of cores.
        compute_rows: u32,
        /// Memories a core addresses, where the neighbour exists and is a core.
        memory_neighbours: Neighbour,
        /// Name of the MLIR device of 1, 2, .. columns.
        mlir_devices: String,
    }
}

section! {
    /// The DMA of one kind of tile.
    TileDma {
        /// Channels from the stream to memory.
        s2mm_channels: u32,
        /// Channels from memory to the stream.
        mm2s_channels: u32,
        /// Buffer descriptors of the tile.
        bds: u32,
        /// Groups the BDs are divided into, equally and in order; channel `c` reaches group `c % groups`.
        bd_groups: u32,
        /// Longest transfer of one BD, in 32-bit words.
        bd_max_words: u32,
        /// Dimensions of one BD besides the iteration.
        bd_dims: u32,
        /// Largest size of a dimension (all but the outermost).
        wrap_max: u32,
        /// Largest stride in 32-bit words; the smallest is 1.
        step_max_words: u32,
        /// Largest size of the iteration dimension.
        iteration_max: u32,
        /// Largest zero padding before or after dimensions 0, 1 and 2 on MM2S; 0 means none.
        zero_padding_max: [u32; 3],
        /// Locks a BD can name.
        locks: u32,
    }
}

section! {
    /// Ports of a stream switch: [masters (outputs), slaves (inputs)] of each bundle.
    SwitchPorts {
        /// To and from the core.
        core: [u32; 2],
        /// To and from the tile's DMA channels.
        dma: [u32; 2],
        /// To and from the tile's control port.
        control: [u32; 2],
        /// To and from the switch's FIFO.
        fifo: [u32; 2],
        /// To and from the tile above.
        north: [u32; 2],
        /// To and from the tile below (at the shim, the DMA and the host interconnect).
        south: [u32; 2],
        /// To and from the tile on the right.
        east: [u32; 2],
        /// To and from the tile on the left.
        west: [u32; 2],
        /// From the trace units.
        trace: [u32; 2],
        /// All ports of the switch.
        total: [u32; 2],
    }
}

section! {
    /// A compute tile: the core and its memory.
    CoreTile {
        /// Data memory.
        data_memory_bytes: u32,
        /// Low part of the data memory that holds the core's code; 0 where code has a memory of its own.
        code_in_data_bytes: u32,
        /// Program memory.
        program_memory_bytes: u32,
        /// Part of the program memory that start-up code and the runtime take.
        program_overhead_bytes: u32,
        /// Stack of a core that does not ask for another size, at the low end of the data memory.
        default_stack_bytes: u32,
        /// Contiguous banks, as compiler and buffer placement see them.
        logical_banks: u32,
        /// Size of one.
        logical_bank_bytes: u32,
        /// Single-port memories; two make a logical bank.
        physical_banks: u32,
        /// Size of one.
        physical_bank_bytes: u32,
        /// Width of one.
        physical_bank_width_bytes: u32,
        /// Bytes after which the two memories of a logical bank alternate.
        bank_interleave_bytes: u32,
        /// Stall of the whole core per access that loses a bank.
        bank_conflict_stall_cycles: u32,
        /// Part of conflicts with its DMA that a core loses.
        dma_conflict_core_loss_fraction: f64,
        /// Loads a core issues in a cycle.
        load_ports: u32,
        /// Stores a core issues in a cycle.
        store_ports: u32,
        /// Width of a load or store.
        port_bytes: u32,
        /// Registers that addresses are made from.
        pointer_registers: u32,
        /// 512-bit vector registers.
        vector_registers: u32,
        /// Width of one.
        vector_register_bits: u32,
        /// 1024-bit accumulators.
        accumulators: u32,
        /// Width of one.
        accumulator_bits: u32,
        /// 32-bit scalar registers.
        scalar_registers: u32,
        /// 128-bit mask registers.
        mask_registers: u32,
        /// Widest instruction bundle.
        bundle_max_bytes: u32,
        /// Width of the cascade to a neighbouring core.
        cascade_bits: u32,
        /// Values the cascade holds at each side.
        cascade_fifo_depth: u32,
        /// Objects of 32 bits a core takes from its stream port in a cycle: ports into the core.
        stream_inputs: u32,
        /// Stream ports out of the core.
        stream_outputs: u32,
    }
    lists {
        /// Ways the cascade runs.
        cascade_directions: CascadeDirection,
    }
    sections {
        /// Its DMA.
        dma: TileDma,
        /// Its stream switch.
        switch: SwitchPorts,
    }
}

section! {
    /// A mem tile.
    MemTile {
        /// Memory.
        memory_bytes: u32,
        /// Banks, as buffer placement sees them.
        logical_banks: u32,
        /// Size of one.
        logical_bank_bytes: u32,
        /// Single-port memories.
        physical_banks: u32,
        /// Size of one.
        physical_bank_bytes: u32,
        /// Bytes after which the physical banks rotate.
        bank_interleave_bytes: u32,
        /// Channels, from 0, that reach the memory and locks of the mem tiles left and right.
        neighbour_channels: u32,
        /// From the end of a BD to the release of its lock.
        lock_release_cycles: u32,
    }
    sections {
        /// Its DMA.
        dma: TileDma,
        /// Its stream switch.
        switch: SwitchPorts,
    }
}

section! {
    /// A shim tile: the array's port to host memory.
    ShimTile {
        /// Width of its AXI read and of its AXI write port, each shared by its channels.
        axi_bits: u32,
        /// Tasks in flight whose BDs differ.
        bds_in_flight_max: u32,
        /// Cycles after which the first MM2S task of a channel delivers, beyond a later one's.
        mm2s_cold_start_cycles: u32,
        /// Part of the cold start that each further task still pays, of the one before.
        mm2s_cold_decay: f64,
        /// The same for S2MM.
        s2mm_cold_start_cycles: u32,
        /// The same for S2MM.
        s2mm_cold_decay: f64,
        /// Cost of an MM2S task beyond its words and the DMA's start.
        mm2s_task_cycles: u32,
        /// Cost of an S2MM task beyond its words and the DMA's start.
        s2mm_task_cycles: u32,
    }
    lists {
        /// Bytes of a burst that a BD can choose.
        burst_bytes: u32,
        /// South input of the switch that each MM2S channel feeds.
        mm2s_switch_ports: u32,
        /// South output of the switch that feeds each S2MM channel.
        s2mm_switch_ports: u32,
    }
    sections {
        /// Its DMA.
        dma: TileDma,
        /// Its stream switch.
        switch: SwitchPorts,
    }
}

section! {
    /// What the DMAs of all tiles have in common.
    DmaTiming {
        /// Tasks a channel's queue holds; one more is lost without a word.
        task_queue_depth: u32,
        /// Most runs of one pushed task.
        repeat_max: u32,
        /// Unit of sizes, offsets and strides.
        granule_bytes: u32,
        /// Words a channel moves in a cycle.
        words_per_cycle: u32,
        /// Words one access to a bank moves.
        words_per_bank_access: u32,
        /// From the start of a BD to the first address.
        bd_setup_cycles: u32,
        /// From the start of a channel to its first BD.
        channel_start_cycles: u32,
        /// From an address to its data.
        memory_latency_cycles: u32,
        /// From a BD's end to the setup of the next.
        bd_chain_cycles: u32,
        /// Cycles without a word on the stream between two BDs.
        bd_switch_hole_cycles: u32,
        /// Words an S2MM channel takes before memory accepts them.
        s2mm_ingress_words: u32,
        /// Words an MM2S channel holds between memory and the stream.
        mm2s_egress_words: u32,
        /// Words between an MM2S channel of a core and a stalled shim.
        mm2s_to_shim_words: u32,
        /// Cycles an S2MM channel goes on taking words while its BD waits for a lock.
        s2mm_lock_stall_accept_cycles: u32,
        /// BDs whose words an S2MM channel takes before their lock is there.
        accept_bds_ahead: u32,
    }
}

section! {
    /// Locks of all tiles.
    LockTiming {
        /// Greatest value.
        max_value: u32,
        /// An acquire that does not wait.
        acquire_cycles: u32,
        /// A release.
        release_cycles: u32,
        /// Stall after every request of a core, waited for or not.
        arbitration_cycles: u32,
        /// One acquire or release of an object FIFO as compiled: an out-of-line call.
        objectfifo_call_cycles: u32,
    }
}

section! {
    /// Stream switches of all tiles.
    StreamTiming {
        /// Width of a port.
        port_bits: u32,
        /// Words a port moves in a cycle.
        words_per_cycle: u32,
        /// Through one switch, between two ports of its tile.
        local_to_local_cycles: u32,
        /// Through one switch, from its tile to another.
        local_to_external_cycles: u32,
        /// Through one switch, from a tile to another.
        external_to_external_cycles: u32,
        /// Through one switch, from another tile to its own.
        external_to_local_cycles: u32,
        /// From one switch to the next.
        hop_cycles: u32,
        /// Arbitration of a packet.
        packet_arbitration_cycles: u32,
        /// FIFO of an input from the own tile.
        local_slave_fifo_words: u32,
        /// FIFO of an input from another tile.
        external_slave_fifo_words: u32,
        /// FIFO of an output to the own tile.
        local_master_fifo_words: u32,
        /// FIFO of an output to another tile.
        external_master_fifo_words: u32,
        /// Words that one crossing between tiles holds.
        crossing_words: u32,
        /// FIFO that a route can be led through.
        switch_fifo_words: u32,
        /// Packet ids.
        packet_ids: u32,
        /// Ids an input can tell apart.
        packet_slots_per_slave: u32,
        /// Arbiters of a switch.
        packet_arbiters: u32,
    }
}

section! {
    /// How a core issues and waits, beyond the latency of each class.
    CoreTiming {
        /// Cycle in which a multiply-accumulate or accumulator operation reads its accumulator (operands: 1).
        accumulator_read_cycle: u32,
        /// Cycles that forwarding saves between two integer accumulator operations.
        accumulator_int_bypass_cycles: u32,
        /// From an integer multiply-accumulate to the next on the same accumulator.
        accumulator_chain_int_cycles: u32,
        /// From a float multiply-accumulate to the next on the same accumulator.
        accumulator_chain_float_cycles: u32,
        /// From a vector operation of the move slot to another of that slot.
        vector_alu_chain_cycles: u32,
        /// From a write of the cascade to the next.
        cascade_write_cycles: u32,
        /// Slots after a branch that are always executed.
        branch_delay_slots: u32,
        /// From a taken or untaken branch to what follows it.
        branch_cycles: u32,
        /// A call and its return when nothing fills their delay slots.
        call_cycles: u32,
        /// Bundles between setting up a hardware loop and its end.
        loop_setup_bundles: u32,
        /// Start of a core's program before it first acquires.
        startup_cycles: u32,
    }
}

section! {
    /// Most multiply-accumulates of one core in a cycle.
    MacsPerCycle {
        /// i8 x i8.
        i8_i8: u32,
        /// i16 x i8.
        i16_i8: u32,
        /// i16 x i16.
        i16_i16: u32,
        /// i32 x i16.
        i32_i16: u32,
        /// bf16 x bf16.
        bf16_bf16: u32,
    }
}

section! {
    /// The controller that executes the runtime sequence, in cycles of the array.
    ControllerTiming {
        /// A write of one register.
        write_cycles: u32,
        /// A block write of any length, without its words.
        block_write_cycles: u32,
        /// Each word of it.
        block_write_word_cycles: u32,
        /// A masked write.
        mask_write_cycles: u32,
        /// Any other instruction.
        instruction_cycles: u32,
        /// The first push of a shim task.
        push_cold_cycles: u32,
        /// A later push of a task that reads host memory.
        push_mm2s_cycles: u32,
        /// A later push of a task that writes host memory.
        push_s2mm_cycles: u32,
        /// The shortest distance of two pushes seen.
        push_min_cycles: u32,
        /// The first wait for a token, from the end of its task.
        wait_first_cycles: u32,
        /// A later wait whose token is there.
        wait_later_cycles: u32,
        /// From the start of a dispatch to the first command.
        dispatch_start_cycles: u32,
    }
}

section! {
    /// Addresses of the registers of one kind of tile, in bytes from the tile's own address.
    TileRegisters {
        /// First register of BD 0.
        bds_address: u32,
        /// From one BD to the next.
        bd_step_bytes: u32,
        /// Registers of one BD, in 32-bit words.
        bd_words: u32,
        /// The register of a BD, from 0, that holds the (low) address of its buffer.
        bd_address_word: u32,
        /// Control register of S2MM channel 0.
        s2mm_control_address: u32,
        /// Control register of MM2S channel 0.
        mm2s_control_address: u32,
        /// From one channel's control register to the next one's.
        channel_step_bytes: u32,
        /// From a channel's control register to the queue that starts its tasks.
        task_queue_offset_bytes: u32,
        /// Value of lock 0.
        locks_address: u32,
        /// From one lock to the next.
        lock_step_bytes: u32,
        /// Where the tile's own memory begins in the addresses of its BDs.
        dma_memory_address: u32,
        /// Number of the tile's lock 0 in its BDs.
        dma_first_lock: u32,
        /// Configuration of master 0 of the stream switch.
        switch_address: u32,
    }
}

section! {
    /// Where registers are: an address is `column << column_shift | row << row_shift | address in the tile`.
    Registers {
        /// Position of the column in an address.
        column_shift: u32,
        /// Position of the row in an address.
        row_shift: u32,
        /// Program memory of a core.
        program_memory_address: u32,
        /// Control register of a core: bit 0 enables, bit 1 resets.
        core_control_address: u32,
        /// Where a core's cascade comes from and goes.
        core_cascade_address: u32,
        /// Data memory of a core or mem tile.
        data_memory_address: u32,
        /// From master 0 of a stream switch to slave 0.
        switch_slaves_offset_bytes: u32,
        /// From master 0 of a stream switch to slot 0 of slave 0.
        switch_slots_offset_bytes: u32,
        /// From one master or slave to the next.
        switch_port_step_bytes: u32,
        /// Slots of a slave, which sort its packets.
        switch_slots: u32,
        /// From one slot to the next; those of all slaves follow each other.
        switch_slot_step_bytes: u32,
        /// What the south inputs of a shim's switch come from.
        shim_mux_address: u32,
        /// What the south outputs of a shim's switch go to.
        shim_demux_address: u32,
    }
    lists {
        /// Order in which the bundles of a switch are numbered, masters and slaves alike.
        switch_port_order: SwitchBundle,
    }
    sections {
        /// Compute tiles.
        core: TileRegisters,
        /// Mem tiles.
        mem: TileRegisters,
        /// Shim tiles.
        shim: TileRegisters,
    }
}

section! {
    /// The controller's instruction stream (`insts.bin`).
    Instructions {
        /// Generation of the device, as the header of a stream says.
        device_generation: u32,
        /// Version of the format, before the point.
        format_major: u32,
        /// Version of the format, after the point.
        format_minor: u32,
        /// Host arguments, from the first, whose addresses the firmware takes to the array's view of
        /// host memory.
        relocated_arguments: u32,
        /// Where host memory begins in the array's view; added to the offset into any later argument.
        host_memory_address: u32,
        /// AxCache of a shim BD.
        axi_cache: u32,
        /// Burst of a shim BD that does not ask for another.
        burst_bytes: u32,
        /// South output of a shim's switch that leads tokens to the controller.
        token_switch_port: u32,
        /// Arbiter of a shim's switch that tokens pass.
        token_arbiter: u32,
        /// Selection of that arbiter.
        token_selection: u32,
    }
    lists {
        /// Controller id that the tokens of a tile carry, by row.
        token_controller_ids: u32,
    }
}

section! {
    /// The host's side: limits of a run and its costs.
    Host {
        /// Buffers a kernel must declare.
        buffers_min: u32,
        /// Most buffers of a run.
        buffers_max: u32,
        /// Contexts alive at a time.
        hardware_contexts_max: u32,
        /// A run of its own: launch and wait.
        launch_us: f64,
        /// A run from submit to wait of the usual driver stack, which does nothing on the array.
        bracket_us: f64,
        /// What a Python front end adds to that.
        python_us: f64,
        /// A run inside a run list.
        runlist_launch_us: f64,
        /// Adding a run to a run list.
        runlist_enqueue_us: f64,
        /// Changing to another design and back, per change.
        design_switch_us: f64,
        /// Making a context of a design.
        context_create_us: f64,
        /// Mapping a buffer.
        buffer_map_us: f64,
        /// Time after which the driver takes a run for dead.
        timeout_ms: u32,
    }
}

section! {
    /// A machine: what scales cycles to time and bounds host memory.
    Profile {
        /// Clock of the array.
        clock_mhz: u32,
        /// Rate of host memory, all channels and both directions together, in 10^9 bytes a second.
        ddr_gb_per_s: f64,
        /// Rate of host memory, all channels that read, in 10^9 bytes a second.
        ddr_read_gb_per_s: f64,
        /// Words a cycle that one shim channel moves of a contiguous block.
        shim_words_per_cycle: f64,
        /// Rows of a strided access: the least time between two of one shim channel, where rows are next to
        /// each other.
        ddr_row_ns: f64,
        /// What translating its address adds to a row that is `ddr_walk_bytes` or more from the one before;
        /// less in proportion to the stride.
        ddr_walk_ns: f64,
        /// Host memory that one line of a page table covers.
        ddr_walk_bytes: u32,
        /// Time for which a row takes the read or write port of a shim, where rows are next to each other.
        ddr_port_ns: f64,
        /// What opening its page adds to that for a row that is `ddr_page_bytes` or more from the one before;
        /// less in proportion to the stride.
        ddr_page_ns: f64,
        /// Host memory in one page.
        ddr_page_bytes: u32,
    }
}

/// The description as the file has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    /// Version of this schema.
    pub schema_version: u32,
    pub name: String,
    pub doc: String,
    /// What the first word of each value's source stands for.
    pub sources: IndexMap<String, String>,
    pub geometry: Geometry,
    pub core: CoreTile,
    pub mem: MemTile,
    pub shim: ShimTile,
    pub dma: DmaTiming,
    pub locks: LockTiming,
    pub stream: StreamTiming,
    pub core_timing: CoreTiming,
    /// Cycles by `LatencyClass::key`.
    pub latency_cycles: IndexMap<String, Sourced<u32>>,
    pub macs_per_cycle: MacsPerCycle,
    pub controller: ControllerTiming,
    pub registers: Registers,
    pub instructions: Instructions,
    pub host: Host,
    pub profiles: IndexMap<String, Profile>,
    pub default_profile: String,
}

impl Check for Description {
    fn check(node: &Node, at: Mark, path: &str, out: &mut Vec<Problem>) {
        let required = [
            "schema_version",
            "name",
            "doc",
            "sources",
            "geometry",
            "core",
            "mem",
            "shim",
            "dma",
            "locks",
            "stream",
            "core_timing",
            "latency_cycles",
            "macs_per_cycle",
            "controller",
            "registers",
            "instructions",
            "host",
            "profiles",
            "default_profile",
        ];
        for entry in fields(node, at, path, &required, &[], out) {
            let (value, at, inner) = (&entry.node, entry.key_mark, join(path, &entry.key));
            match entry.key.as_str() {
                "schema_version" => u32::check(value, at, &inner, out),
                "name" | "doc" | "default_profile" => String::check(value, at, &inner, out),
                "sources" => IndexMap::<String, String>::check(value, at, &inner, out),
                "geometry" => Geometry::check(value, at, &inner, out),
                "core" => CoreTile::check(value, at, &inner, out),
                "mem" => MemTile::check(value, at, &inner, out),
                "shim" => ShimTile::check(value, at, &inner, out),
                "dma" => DmaTiming::check(value, at, &inner, out),
                "locks" => LockTiming::check(value, at, &inner, out),
                "stream" => StreamTiming::check(value, at, &inner, out),
                "core_timing" => CoreTiming::check(value, at, &inner, out),
                "latency_cycles" => IndexMap::<String, Sourced<u32>>::check(value, at, &inner, out),
                "macs_per_cycle" => MacsPerCycle::check(value, at, &inner, out),
                "controller" => ControllerTiming::check(value, at, &inner, out),
                "registers" => Registers::check(value, at, &inner, out),
                "instructions" => Instructions::check(value, at, &inner, out),
                "host" => Host::check(value, at, &inner, out),
                "profiles" => IndexMap::<String, Profile>::check(value, at, &inner, out),
                _ => {}
            }
        }
    }
}
