//! Random kernels: the compiled path equals the interpreter in bytes, cost and errors.

use super::{arguments, run_both};
use kiln_dsl::Verified;
use kiln_dsl::kernel::build::{Acc32, Accum, Buf, Builder, Scalar, Vector, mmul};
use kiln_dsl::kernel::{Kernel, KernelError, Problem, arbitrary, verify};
use kiln_dsl::num::{Rounding, Saturation};
use proptest::prelude::*;

const LEN: u32 = 512;

/// Values in scope, from which operands are picked.
#[derive(Clone)]
struct Pool<'k> {
    scalars: Vec<Scalar<'k>>,
    bytes: Vec<Vector<'k, i8, 64>>,
    words: Vec<Vector<'k, i32, 16>>,
    accums: Vec<Accum<'k, Acc32, 32>>,
}

/// A kernel in the making: choices come from `choices`, zero when they run out.
struct Author<'k> {
    k: &'k Builder,
    choices: std::vec::IntoIter<u16>,
    x: Buf<'k, i8>,
    y: Buf<'k, i8>,
    z: Buf<'k, i32>,
}

impl<'k> Author<'k> {
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.choices.next().unwrap_or(0)) % n
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// An address of 64 bytes that is often inside a parameter.
    fn place(&mut self, pool: &Pool<'k>) -> Scalar<'k> {
        let at = self.below(8) as i32 * 64;
        match self.below(4) {
            0 => self.k.constant(at),
            1 => self.one(&pool.scalars).max(0).min(3) * 64 + at / 2 / 64 * 64,
            2 => (self.one(&pool.scalars).max(0).min(1) + self.one(&pool.scalars).max(0).min(1)) * 64,
            _ => self.one(&pool.scalars) * 64,
        }
    }

    fn scalar(&mut self, pool: &Pool<'k>) -> Scalar<'k> {
        let (a, b) = (self.one(&pool.scalars), self.one(&pool.scalars));
        match self.below(9) {
            0 => a + b,
            1 => a - b,
            2 => a * b,
            3 => a.min(b),
            4 => a.shift_right(b),
            5 => a.lt(b),
            6 => a.quotient(b),
            7 => self.one(&pool.bytes).lane(self.below(64) as u32),
            _ => self.one(&pool.words).reduce_max(),
        }
    }

    fn statement(&mut self, pool: &mut Pool<'k>, depth: usize) {
        let k = self.k;
        match self.below(14) {
            0 | 1 => {
                let value = self.scalar(pool);
                pool.scalars.push(value);
            }
            2 => {
                let at = self.place(pool);
                let from = if self.below(2) == 0 { self.x } else { self.y };
                pool.bytes.push(from.load::<64>(at));
            }
            3 => {
                let (at, value) = (self.place(pool), self.one(&pool.bytes));
                self.y.store(at, value);
            }
            4 => {
                let at = self.one(&pool.scalars);
                pool.bytes.push(self.x.load_unaligned::<64>(at.max(0).min(LEN as i32 - 64)));
            }
            5 => {
                let (a, b) = (self.one(&pool.bytes), self.one(&pool.bytes));
                let value = match self.below(4) {
                    0 => a + b,
                    1 => a.max(b),
                    2 => a.lt(b).select(b, a),
                    _ => k.splat(self.one(&pool.scalars)),
                };
                pool.bytes.push(value);
            }
            6 => {
                let (a, b) = (self.one(&pool.words), self.one(&pool.words));
                let value = if self.below(2) == 0 { a - b } else { self.one(&pool.bytes).cast::<i32, 16>() };
                pool.words.push(value);
            }
            7 | 8 => {
                let (acc, a, b) = (self.one(&pool.accums), self.one(&pool.bytes), self.one(&pool.bytes));
                pool.accums.push(k.mac(mmul::I8_I8_4X8X8, acc, a.low::<32>(), b));
            }
            9 => {
                let (a, b) = (self.one(&pool.accums), self.one(&pool.accums));
                let shift = self.one(&pool.scalars).max(0).min(20);
                pool.bytes.push(a.srs::<i8>(shift).concat::<64>(b.srs::<i8>(shift)));
            }
            10 => {
                let at = self.one(&pool.scalars).max(0).min(15);
                let value = self.one(&pool.scalars);
                self.z.set(at, value);
                pool.scalars.push(self.z.get(at));
            }
            _ if depth < 3 => self.fold(pool, depth),
            _ => {}
        }
    }

    fn block(&mut self, pool: &mut Pool<'k>, depth: usize) {
        for _ in 0..2 + self.below(6) {
            self.statement(pool, depth);
        }
    }

    /// A loop that carries two scalars, a vector and two accumulators, in any order.
    fn fold(&mut self, pool: &mut Pool<'k>, depth: usize) {
        let bound = match self.below(3) {
            0 => self.k.constant(self.below(4) as i32),
            _ => self.one(&pool.scalars).min(3),
        };
        let step = 1 + self.below(2) as u32;
        let start = (
            [self.one(&pool.scalars), self.one(&pool.scalars)],
            self.one(&pool.bytes),
            [self.one(&pool.accums), self.one(&pool.accums)],
        );
        let outer = pool.clone();
        let result = self.k.fold_step(0, bound, step, start, |i, (scalars, vector, accums)| {
            let mut inner = outer.clone();
            inner.scalars.push(i);
            inner.scalars.extend(scalars);
            inner.bytes.push(vector);
            inner.accums.extend(accums);
            self.block(&mut inner, depth + 1);
            // The newest values most of the time, so that chains form.
            let newest = |author: &mut Self, len: usize| len - 1 - author.below(3).min(len - 1);
            let s = [newest(self, inner.scalars.len()), newest(self, inner.scalars.len())];
            let v = newest(self, inner.bytes.len());
            let a = [newest(self, inner.accums.len()), newest(self, inner.accums.len())];
            (s.map(|s| inner.scalars[s]), inner.bytes[v], a.map(|a| inner.accums[a]))
        });
        pool.scalars.extend(result.0);
        pool.bytes.push(result.1);
        pool.accums.extend(result.2);
    }
}

/// A kernel of `choices`.
///
/// # Errors
/// Rejects a kernel of which `verify` can tell that an access leaves its parameter: only accesses at run-time addresses
/// may, so that both executors meet the error.
fn random_kernel(choices: Vec<u16>) -> Result<Verified<Kernel>, TestCaseError> {
    let kernel = Kernel::build("k", Rounding::ConvEven, Saturation::On, |k| {
        let n = k.param_i32("n");
        let mut author = Author {
            k,
            choices: choices.into_iter(),
            x: k.input::<i8>("x", [LEN]),
            y: k.inout::<i8>("y", [LEN]),
            z: k.state::<i32>("z", [16]),
        };
        let mut pool = Pool {
            scalars: vec![n, k.constant(2)],
            bytes: vec![author.x.load::<64>(0)],
            words: vec![k.splat(n)],
            accums: vec![k.acc_zeros()],
        };
        for _ in 0..4 {
            author.block(&mut pool, 0);
        }
        let (bytes, accums) =
            (*pool.bytes.last().expect("not empty"), *pool.accums.last().expect("not empty"));
        author.y.store(64, bytes);
        author.y.store(0, accums.srs::<i8>(4));
        author.z.set(0, *pool.scalars.last().expect("not empty"));
    });
    verify(kernel).map_err(|e| {
        let outside = |error: &KernelError| matches!(error.problem, Problem::OutOfBounds { .. });
        assert!(e.errors.iter().all(outside), "{e}");
        TestCaseError::reject("an access that always leaves its parameter")
    })
}

/// These kernels stay inside their parameters, so that every run goes to its end.
fn every_form(choices: &[u16], seed: u32, n: i32) -> Result<(), TestCaseError> {
    let kernel = verify(arbitrary::kernel(choices)).expect("arbitrary kernels are valid");
    let (result, _) = run_both(&kernel, arguments(&kernel, seed, &[n]));
    prop_assert!(result.is_ok(), "{result:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn compiled_equals_interpreted(
        choices in proptest::collection::vec(any::<u16>(), 0..400),
        seed in any::<u32>(),
        n in -2i32..6,
    ) {
        let kernel = random_kernel(choices)?;
        let args = arguments(&kernel, seed, &[n]);
        let _same = run_both(&kernel, args);
    }

    #[test]
    fn compiled_equals_interpreted_on_every_form(
        choices in proptest::collection::vec(any::<u16>(), 0..300),
        seed in any::<u32>(),
        n in any::<i32>(),
    ) {
        every_form(&choices, seed, n)?;
    }
}
