//! Negotiated congestion over the outputs of all switches.

use super::graph::{Graph, Net, NodeId};
use super::{Bundle, Connection, FullSwitch, Port, Route, Routing};
use crate::array::ir::Tile;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Rounds after which shared ports are taken for a lack of ports.
const MAX_ROUNDS: u64 = 60;
/// Cost of an output that nobody else wants; one round of sharing adds as much to its history.
const BASE: u64 = 16;
/// Cost of an output that the net has already: nearly as much, so that a branch takes a shortest
/// way, and among those the one that shares most with the tree.
const OWN: u64 = BASE - 1;

/// One output of a tree.
#[derive(Clone, Copy)]
struct Branch {
    node: NodeId,
    /// The output that feeds it; `None` for the source.
    via: Option<NodeId>,
    /// Switches from the source to it.
    switches: u32,
}

/// The tree of one net, each output after the one that feeds it.
type Tree = Vec<Branch>;

fn find(tree: &Tree, node: NodeId) -> Option<&Branch> {
    tree.iter().find(|b| b.node == node)
}

pub(super) struct Search<'g> {
    graph: &'g Graph<'g>,
    nets: Vec<Net>,
    trees: Vec<Tree>,
    /// Nets on each output.
    users: Vec<u32>,
    /// What past sharing adds to the cost of each output.
    history: Vec<u64>,
}

impl<'g> Search<'g> {
    pub fn new(graph: &'g Graph<'g>, nets: Vec<Net>) -> Search<'g> {
        let (outputs, trees) = (graph.masters().len(), vec![Tree::new(); nets.len()]);
        Search { graph, nets, trees, users: vec![0; outputs], history: vec![0; outputs] }
    }

    pub fn run(mut self) -> Routing {
        for round in 0..MAX_ROUNDS {
            for net in 0..self.nets.len() {
                let old = std::mem::take(&mut self.trees[net]);
                old.iter().for_each(|b| self.users[b.node] -= 1);
                let tree = self.tree(net, round);
                tree.iter().for_each(|b| self.users[b.node] += 1);
                self.trees[net] = tree;
            }
            let shared: Vec<NodeId> = (0..self.users.len()).filter(|&n| self.users[n] > 1).collect();
            if shared.is_empty() {
                break;
            }
            for node in shared {
                self.history[node] += BASE * u64::from(self.users[node] - 1);
            }
        }
        self.result()
    }

    /// The cheapest tree of a net: destinations join it one by one, each by its cheapest path from
    /// what is there. A destination that nothing leads to is left out.
    fn tree(&self, net: usize, round: u64) -> Tree {
        let mut tree = Tree::new();
        for &sink in &self.nets[net].sinks {
            let mut path = self.path(net, &tree, sink, round);
            tree.append(&mut path);
        }
        tree
    }

    /// New outputs from a tree to a destination, in order.
    fn path(&self, net: usize, tree: &Tree, sink: NodeId, round: u64) -> Tree {
        let outputs = self.graph.masters().len();
        let mut best = vec![u64::MAX; outputs];
        let mut from: Vec<Option<NodeId>> = vec![None; outputs];
        let mut queue = BinaryHeap::new();
        for &Branch { node, switches, .. } in tree {
            best[node] = OWN * u64::from(switches);
            queue.push(Reverse((best[node], node)));
        }
        let relax = |node: NodeId, at: u64, via, best: &mut Vec<u64>, from: &mut Vec<_>| {
            let cost = at + self.cost(node, round);
            (cost < best[node]).then(|| {
                (best[node], from[node]) = (cost, via);
                Reverse((cost, node))
            })
        };
        for &node in self.graph.driven(self.nets[net].source) {
            queue.extend(relax(node, 0, None, &mut best, &mut from));
        }
        while let Some(Reverse((at, node))) = queue.pop() {
            if node == sink {
                break;
            }
            let Some(input) = self.graph.masters()[node].leads_to.filter(|_| at == best[node]) else {
                continue;
            };
            for &next in self.graph.driven(input) {
                queue.extend(relax(next, at, Some(node), &mut best, &mut from));
            }
        }
        if best[sink] == u64::MAX {
            return Tree::new();
        }
        let mut path = Vec::new();
        let mut node = Some(sink);
        while let Some(at) = node.filter(|&n| find(tree, n).is_none()) {
            path.push(at);
            node = from[at];
        }
        let mut switches = node.and_then(|n| find(tree, n)).map_or(0, |b| b.switches);
        let branch = |node: NodeId| {
            switches += 1;
            Branch { node, via: from[node], switches }
        };
        path.into_iter().rev().map(branch).collect()
    }

    /// Sharing costs more from round to round, so that early rounds spread and late ones decide.
    fn cost(&self, node: NodeId, round: u64) -> u64 {
        (BASE + self.history[node]) * (1 + (round + 1) * u64::from(self.users[node]))
    }

    fn result(&self) -> Routing {
        let mut routing = Routing::default();
        for master in self.graph.masters() {
            *routing.outputs.entry((master.tile, master.port.bundle)).or_insert(0) += 1;
        }
        routing.routes = self.nets.iter().zip(&self.trees).map(|(n, t)| self.route(n, t)).collect();
        routing.full = self.full(&routing);
        routing
    }

    fn route(&self, net: &Net, tree: &Tree) -> Route {
        let masters = self.graph.masters();
        let input = |via: Option<NodeId>| via.map_or(Some(net.source), |v| masters[v].leads_to);
        let connection = |b: &Branch| {
            let (tile, slave): (Tile, Port) = input(b.via)?;
            Some(Connection { tile, slave, master: masters[b.node].port })
        };
        let switches = |&sink: &NodeId| find(tree, sink).map_or(0, |b| b.switches);
        Route {
            flow: net.flow,
            connections: tree.iter().filter_map(connection).collect(),
            switches: net.sinks.iter().map(switches).collect(),
        }
    }

    /// Sides with a shared output: who leaves there.
    fn full(&self, routing: &Routing) -> Vec<FullSwitch> {
        let mut sides: Vec<(Tile, Bundle)> = self
            .graph
            .masters()
            .iter()
            .zip(&self.users)
            .filter(|(_, users)| **users > 1)
            .map(|(m, _)| (m.tile, m.port.bundle))
            .collect();
        sides.dedup();
        let leaves = |r: &Route, side| r.connections.iter().any(|c| (c.tile, c.master.bundle) == side);
        sides
            .into_iter()
            .map(|(tile, side)| FullSwitch {
                tile,
                side,
                ports: routing.ports(tile, side),
                flows: routing.routes.iter().filter(|r| leaves(r, (tile, side))).map(|r| r.flow).collect(),
            })
            .collect()
    }
}
