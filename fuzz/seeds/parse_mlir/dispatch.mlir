// dispatch: Trip count and operation of one core come from a control object.
// kiln 0.1.0, for mlir-aie main of 2026-03-12 to 2026-08-14 (dynamic object FIFOs)
module {
  aie.device(npu1) {
    func.func private @matmul_i8_i32_64x64x64(memref<4096xi8>, memref<4096xi8>, memref<4096xi32>) attributes {link_with = "matmul_i8_i32_64x64x64.o"}
    func.func private @zero_i32_4096(memref<4096xi32>) attributes {link_with = "zero_i32_4096.o"}
    func.func private @relu_i32_4096(memref<4096xi32>) attributes {link_with = "relu_i32_4096.o"}
    %tile_0_0 = aie.tile(0, 0)
    %tile_0_1 = aie.tile(0, 1)
    %tile_0_2 = aie.tile(0, 2)
    aie.objectfifo @ctl(%tile_0_0, {%tile_0_2}, [2, 2]) : !aie.objectfifo<memref<16xi32>>
    aie.objectfifo @ab(%tile_0_1, {%tile_0_2}, [2, 2]) : !aie.objectfifo<memref<8192xi8>>
    aie.objectfifo @ab3(%tile_0_0, {%tile_0_1}, [2, 2]) : !aie.objectfifo<memref<8192xi8>>
    aie.objectfifo @o(%tile_0_2, {%tile_0_0}, [1, 1]) : !aie.objectfifo<memref<4096xi32>>
    aie.objectfifo.link [@ab3] -> [@ab] ([] [0])
    %core_0_2 = aie.core(%tile_0_2) {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c9223372036854775807 = arith.constant 9223372036854775807 : index
      scf.for %i0 = %c0 to %c9223372036854775807 step %c1 {
        %held0 = aie.objectfifo.acquire @ctl(Consume, 1) : !aie.objectfifosubview<memref<16xi32>>
        %obj0 = aie.objectfifo.subview.access %held0[0] : !aie.objectfifosubview<memref<16xi32>> -> memref<16xi32>
        %obj0_w0 = memref.load %obj0[%c0] : memref<16xi32>
        %obj0_w1 = memref.load %obj0[%c1] : memref<16xi32>
        aie.objectfifo.release @ctl(Consume, 1)
        %held1 = aie.objectfifo.acquire @o(Produce, 1) : !aie.objectfifosubview<memref<4096xi32>>
        %obj1 = aie.objectfifo.subview.access %held1[0] : !aie.objectfifosubview<memref<4096xi32>> -> memref<4096xi32>
        func.call @zero_i32_4096(%obj1) : (memref<4096xi32>) -> ()
        %trips1 = arith.index_cast %obj0_w0 : i32 to index
        scf.for %i1 = %c0 to %trips1 step %c1 {
          %held2 = aie.objectfifo.acquire @ab(Consume, 1) : !aie.objectfifosubview<memref<8192xi8>>
          %obj2 = aie.objectfifo.subview.access %held2[0] : !aie.objectfifosubview<memref<8192xi8>> -> memref<8192xi8>
          %view0 = memref.view %obj2[%c0][] : memref<8192xi8> to memref<4096xi8>
          %view1 = memref.view %obj2[%c0][] : memref<8192xi8> to memref<4096xi8>
          func.call @matmul_i8_i32_64x64x64(%view0, %view1, %obj1) : (memref<4096xi8>, memref<4096xi8>, memref<4096xi32>) -> ()
          aie.objectfifo.release @ab(Consume, 1)
        }
        %which0 = arith.index_cast %obj0_w1 : i32 to index
        scf.index_switch %which0
        case 1 {
          func.call @relu_i32_4096(%obj1) : (memref<4096xi32>) -> ()
          scf.yield
        }
        default {
          scf.yield
        }
        aie.objectfifo.release @o(Produce, 1)
      }
      aie.end
    }
    aie.runtime_sequence(%x : memref<65536xi8>, %y : memref<65536xi32>, %z : memref<16xi32>) {
      aiex.npu.dma_memcpy_nd(%z[0, 0, 0, 0][1, 1, 1, 16][0, 0, 0, 1]) {id = 2 : i64, metadata = @ctl} : memref<16xi32>
      aiex.npu.dma_memcpy_nd(%x[0, 0, 0, 0][1, 1, 1, 65536][0, 0, 0, 1]) {id = 0 : i64, metadata = @ab3} : memref<65536xi8>
      aiex.npu.dma_memcpy_nd(%y[0, 0, 0, 0][1, 1, 1, 4096][0, 0, 0, 1]) {id = 1 : i64, metadata = @o, issue_token = true} : memref<65536xi32>
      aiex.npu.dma_wait {symbol = @o}
    }
  }
}
