// relu2: y = max(x, 0) of 64 KiB on two cores of one column.
// kiln 0.1.0, for mlir-aie main of 2026-03-12 to 2026-08-14 (dynamic object FIFOs)
module {
  aie.device(npu1) {
    func.func private @relu_i8(memref<2048xi8>, memref<2048xi8>, i32) attributes {link_with = "relu_i8.o"}
    %tile_0_0 = aie.tile(0, 0)
    %tile_0_1 = aie.tile(0, 1)
    %tile_0_2 = aie.tile(0, 2)
    %tile_0_3 = aie.tile(0, 3)
    aie.objectfifo @in_l2(%tile_0_0, {%tile_0_1}, [2, 2]) : !aie.objectfifo<memref<4096xi8>>
    aie.objectfifo @in_c0(%tile_0_1, {%tile_0_2}, [2, 2]) : !aie.objectfifo<memref<2048xi8>>
    aie.objectfifo @in_c1(%tile_0_1, {%tile_0_3}, [2, 2]) : !aie.objectfifo<memref<2048xi8>>
    aie.objectfifo @out_c0(%tile_0_2, {%tile_0_1}, [2, 2]) : !aie.objectfifo<memref<2048xi8>>
    aie.objectfifo @out_c1(%tile_0_3, {%tile_0_1}, [2, 2]) : !aie.objectfifo<memref<2048xi8>>
    aie.objectfifo @out_l2(%tile_0_1, {%tile_0_0}, [2, 2]) : !aie.objectfifo<memref<4096xi8>>
    aie.objectfifo.link [@in_l2] -> [@in_c0, @in_c1] ([] [0, 2048])
    aie.objectfifo.link [@out_c0, @out_c1] -> [@out_l2] ([0, 2048] [])
    %core_0_2 = aie.core(%tile_0_2) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c9223372036854775807 = arith.constant 9223372036854775807 : index
      %c2048_i32 = arith.constant 2048 : i32
      scf.for %i0 = %c0 to %c9223372036854775807 step %c1 {
        %held0 = aie.objectfifo.acquire @in_c0(Consume, 1) : !aie.objectfifosubview<memref<2048xi8>>
        %obj0 = aie.objectfifo.subview.access %held0[0] : !aie.objectfifosubview<memref<2048xi8>> -> memref<2048xi8>
        %held1 = aie.objectfifo.acquire @out_c0(Produce, 1) : !aie.objectfifosubview<memref<2048xi8>>
        %obj1 = aie.objectfifo.subview.access %held1[0] : !aie.objectfifosubview<memref<2048xi8>> -> memref<2048xi8>
        func.call @relu_i8(%obj0, %obj1, %c2048_i32) : (memref<2048xi8>, memref<2048xi8>, i32) -> ()
        aie.objectfifo.release @in_c0(Consume, 1)
        aie.objectfifo.release @out_c0(Produce, 1)
      }
      aie.end
    } {stack_size = 2048 : i32}
    %core_0_3 = aie.core(%tile_0_3) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c9223372036854775807 = arith.constant 9223372036854775807 : index
      %c2048_i32 = arith.constant 2048 : i32
      scf.for %i0 = %c0 to %c9223372036854775807 step %c1 {
        %held0 = aie.objectfifo.acquire @in_c1(Consume, 1) : !aie.objectfifosubview<memref<2048xi8>>
        %obj0 = aie.objectfifo.subview.access %held0[0] : !aie.objectfifosubview<memref<2048xi8>> -> memref<2048xi8>
        %held1 = aie.objectfifo.acquire @out_c1(Produce, 1) : !aie.objectfifosubview<memref<2048xi8>>
        %obj1 = aie.objectfifo.subview.access %held1[0] : !aie.objectfifosubview<memref<2048xi8>> -> memref<2048xi8>
        func.call @relu_i8(%obj0, %obj1, %c2048_i32) : (memref<2048xi8>, memref<2048xi8>, i32) -> ()
        aie.objectfifo.release @in_c1(Consume, 1)
        aie.objectfifo.release @out_c1(Produce, 1)
      }
      aie.end
    } {stack_size = 2048 : i32}
    aie.runtime_sequence(%x : memref<65536xi8>, %y : memref<65536xi8>) {
      aiex.npu.dma_memcpy_nd(%x[0, 0, 0, 0][1, 1, 1, 65536][0, 0, 0, 1]) {id = 0 : i64, metadata = @in_l2} : memref<65536xi8>
      aiex.npu.dma_memcpy_nd(%y[0, 0, 0, 0][1, 1, 1, 65536][0, 0, 0, 1]) {id = 1 : i64, metadata = @out_l2, issue_token = true} : memref<65536xi8>
      aiex.npu.dma_wait {symbol = @out_l2}
    }
  }
}
