//! Core programs: what is held, words, and arguments of calls.

use super::*;

#[test]
fn acquires_and_releases() {
    let drop_release = |d: &mut Design| {
        turn(d).pop();
    };
    only!(relu2(drop_release), ArrayError::LoopUnbalanced { before: 0, after: 1, .. });
    let once = relu2(|d| {
        drop_release(d);
        let body = std::mem::take(turn(d));
        d.cores[0].body = body;
    });
    only!(once, ArrayError::NotReleased { held: 1, .. });
    let more = relu2(|d| {
        if let Some(Stmt::Release { count, .. }) = turn(d).last_mut() {
            *count = 2
        }
    });
    only!(more, ArrayError::ReleaseTooMany { count: 2, held: 1, .. });
    let deep = relu2(|d| {
        if let Stmt::Acquire { objects, .. } = &mut turn(d)[0] {
            objects.extend([ObjectId(7), ObjectId(8)])
        }
    });
    has!(deep, ArrayError::AcquireTooDeep { wanted: 3, depth: 2, .. });
    has!(
        relu2(|d| if let Stmt::Acquire { port, .. } = &mut turn(d)[0] {
            *port = Port::Produce
        }),
        ArrayError::NotAnEnd { .. }
    );
    has!(
        relu2(|d| if let Stmt::Acquire { fifo, .. } = &mut turn(d)[0] {
            *fifo = FifoId(99)
        }),
        ArrayError::UnknownId { .. }
    );
    let after = relu2(|d| {
        let s = d.cores[0].body[0].clone();
        d.cores[0].body.push(s);
    });
    has!(after, ArrayError::Unreachable { .. });
    has!(
        relu2(|d| if let Stmt::Release { count, .. } = &mut turn(d)[3] {
            *count = 0
        }),
        ArrayError::ZeroObjects { .. }
    );
}

#[test]
fn a_window_that_slides_is_balanced() {
    let d = DesignBuilder::new("window", "Two objects in view, one new a turn.");
    let x = d.fifo("x", SHIM, [CORE], i8s(64)).depths([2, 3]);
    d.core(CORE, |c| {
        c.acquire(x, Port::Consume, 1);
        c.forever(|c| {
            c.acquire(x, Port::Consume, 2);
            c.release(x, Port::Consume, 1);
        });
    });
    d.sequence(|s| {
        let h = s.buffer("h", i8s(640));
        s.copy_linear(h, x, 0, 640);
    });
    assert_eq!(errors(d.build()), []);
}

#[test]
fn objects_after_their_release_and_out_of_scope() {
    let early = relu2(|d| {
        let s = turn(d);
        let release = s.remove(3);
        s.insert(2, release);
    });
    only!(early, ArrayError::ObjectReleased { .. });
    has!(relu2(|d| args(d, 0)[0] = ObjectId(40).into()), ArrayError::ObjectUnbound { .. });
    // Released in the first turn of an inner loop, used in the second.
    let second = dispatch(|d| {
        let body = turn(d);
        let release = body.pop().expect("the release of o");
        let inner =
            body.iter_mut().find_map(|s| if let Stmt::Loop { body, .. } = s { Some(body) } else { None });
        inner.expect("inner loop").push(release);
    });
    has!(second, ArrayError::LoopUnbalanced { .. });
    has!(
        relu2(|d| if let Stmt::Acquire { objects, .. } = &mut turn(d)[1] {
            objects[0] = ObjectId(0)
        }),
        ArrayError::ObjectTwice { .. }
    );
}

#[test]
fn switches() {
    let branch =
        |d: &mut Design| turn(d).iter().position(|s| matches!(s, Stmt::Switch { .. })).expect("a switch");
    let unbalanced = dispatch(|d| {
        let at = branch(d);
        let release = turn(d).pop().expect("the release of o");
        if let Stmt::Switch { cases, .. } = &mut turn(d)[at] {
            cases[0].1.push(release);
        }
    });
    has!(unbalanced, ArrayError::SwitchUnbalanced { .. });
    let twice = dispatch(|d| {
        let at = branch(d);
        if let Stmt::Switch { cases, .. } = &mut turn(d)[at] {
            cases.push(cases[0].clone());
        }
    });
    only!(twice, ArrayError::CaseTwice { value: 1, .. });
}

#[test]
fn words() {
    let with = |word: WordRef| {
        dispatch(|d| {
            for s in turn(d) {
                if let Stmt::Loop { count, .. } = s {
                    *count = Count::Word(word);
                }
            }
        })
    };
    only!(with(ObjectId(0).word(16)), ArrayError::NoSuchWord { index: 16, words: 16, .. });
    only!(with(ObjectId(1).word(0)), ArrayError::WordOfProduced { .. });
    has!(with(ObjectId(9).word(0)), ArrayError::ObjectUnbound { .. });
}

#[test]
fn arguments() {
    let kinds = |d: &mut Design| args(d, 0)[2] = ObjectId(0).into();
    only!(relu2(kinds), ArrayError::ArgKind { expected: "an i32", .. });
    only!(relu2(|d| args(d, 0)[0] = 5.into()), ArrayError::ArgKind { expected: "memory", .. });
    only!(
        relu2(|d| {
            args(d, 0).pop();
        }),
        ArrayError::ArgCount { expected: 3, got: 2, .. }
    );
    has!(relu2(|d| args(d, 0)[1] = ObjectId(0).into()), ArrayError::ArgWritten { .. });
    has!(relu2(|d| args(d, 0)[0] = ObjectId(1).into()), ArrayError::ArgAlias { .. });
    only!(
        relu2(|d| args(d, 0)[0] = ObjectId(0).view(0, i8s(1024))),
        ArrayError::ArgType { got_bytes: 1024, expected_bytes: 2048, .. }
    );
    only!(
        relu2(|d| args(d, 0)[0] = ObjectId(0).view(64, i8s(2048))),
        ArrayError::ViewOutside { end: 2112, bytes: 2048, .. }
    );
    let typed = dispatch(|d| args(d, 0)[0] = ObjectId(1).view(0, MemType::flat(Elem::I32, 4096)));
    only!(typed, ArrayError::ViewOf { .. });
    has!(
        relu2(|d| if let Stmt::Call { kernel, .. } = &mut turn(d)[2] {
            *kernel = KernelId(3)
        }),
        ArrayError::UnknownId { .. }
    );
    has!(
        views(|d| args(d, 1)[3] = ObjectId(0).into()),
        ArrayError::ArgKind { expected: "a core-local buffer", .. }
    );
    has!(views(|d| args(d, 1)[3] = LocalId(9).into()), ArrayError::UnknownId { .. });
    only!(views(|d| d.locals[0].init = Some(vec![8; 256])), ArrayError::TableInit { .. });
    has!(views(|d| d.locals[1].tile = Tile::new(0, 3)), ArrayError::LocalElsewhere { .. });
}

#[test]
fn alignment_of_arguments_where_they_are_placed() {
    let aligned = |stack, align_bytes| {
        let d = DesignBuilder::new("aligned", "");
        let x = d.fifo("x", SHIM, [CORE], i8s(64)).depths([2, 1]);
        let mut param = examples::param("x", ParamKind::In, Elem::I8, 32);
        param.align_bytes = align_bytes;
        let kernel = d.kernel(examples::kernel("k", vec![param]));
        d.core(CORE, |c| {
            c.stack_bytes(stack);
            c.forever(|c| {
                let x_obj = c.consume(x);
                c.call(kernel, (x_obj.view(16, i8s(32)),));
                c.release(x, Port::Consume, 1);
            });
        });
        d.sequence(|s| {
            let h = s.buffer("h", i8s(64));
            s.copy_linear(h, x, 0, 64);
        });
        d.build()
    };
    assert_eq!(errors(aligned(1024, 16)), []);
    only!(aligned(1024, 32), ArrayError::Misaligned { align_bytes: 32, address: 1040, .. });
}
