// Operations of mlir-aie that Kiln emits, as facts of its ODS: names and kinds of attributes that must be there, operands,
// results. From include/aie/Dialect/AIE/IR/AIEOps.td and include/aie/Dialect/AIEX/IR/AIEX.td at 3ca0193 of 2026-08-14, the
// newest of the versions that designs are stamped for. In names a dot is an underscore, and `aie.objectfifo`, which is a type
// too, is `objectfifo_create`: IRDL wants it so. Optional attributes are in ../array/mlir_opt.rs: IRDL has none. What has
// the same `%name` in an operation has the same value there, so every attribute has its own.
irdl.dialect @aie {
  irdl.type @objectfifo {
    %object = irdl.base "!builtin.memref"
    irdl.parameters(object: %object)
  }
  irdl.type @objectfifosubview {
    %object = irdl.base "!builtin.memref"
    irdl.parameters(object: %object)
  }
  irdl.operation @tile {
    %col = irdl.base "#builtin.integer"
    %row = irdl.base "#builtin.integer"
    irdl.attributes {"col" = %col, "row" = %row}
    %index = irdl.is index
    irdl.results(result: %index)
  }
  irdl.operation @buffer {
    %index = irdl.is index
    irdl.operands(tile: %index)
    %memref = irdl.base "!builtin.memref"
    irdl.results(buffer: %memref)
  }
  irdl.operation @cascade_flow {
    %index = irdl.is index
    irdl.operands(source_tile: %index, dest_tile: %index)
  }
  irdl.operation @objectfifo_create {
    // A number, or a list with the producer's first; Kiln emits lists.
    %sym_name = irdl.base "#builtin.string"
    %elemNumber = irdl.base "#builtin.array"
    %elemType = irdl.base "#builtin.type"
    %dimensionsToStream = irdl.base "#builtin.array"
    %dimensionsFromStreamPerConsumer = irdl.base "#builtin.array"
    irdl.attributes {
      "sym_name" = %sym_name, "elemNumber" = %elemNumber, "elemType" = %elemType,
      "dimensionsToStream" = %dimensionsToStream, "dimensionsFromStreamPerConsumer" = %dimensionsFromStreamPerConsumer
    }
    %index = irdl.is index
    irdl.operands(producer_tile: %index, consumer_tiles: variadic %index)
  }
  irdl.operation @objectfifo_link {
    %fifoIns = irdl.base "#builtin.array"
    %fifoOuts = irdl.base "#builtin.array"
    %src_offsets = irdl.base "#builtin.array"
    %dst_offsets = irdl.base "#builtin.array"
    irdl.attributes {
      "fifoIns" = %fifoIns, "fifoOuts" = %fifoOuts, "src_offsets" = %src_offsets,
      "dst_offsets" = %dst_offsets
    }
  }
  irdl.operation @objectfifo_acquire {
    %port = irdl.base "#builtin.integer"
    %objFifo_name = irdl.base "#builtin.symbol_ref"
    %size = irdl.base "#builtin.integer"
    irdl.attributes {"port" = %port, "objFifo_name" = %objFifo_name, "size" = %size}
    %subview = irdl.base @aie::@objectfifosubview
    irdl.results(subview: %subview)
  }
  irdl.operation @objectfifo_release {
    %port = irdl.base "#builtin.integer"
    %objFifo_name = irdl.base "#builtin.symbol_ref"
    %size = irdl.base "#builtin.integer"
    irdl.attributes {"port" = %port, "objFifo_name" = %objFifo_name, "size" = %size}
  }
  irdl.operation @objectfifo_subview_access {
    %index = irdl.base "#builtin.integer"
    irdl.attributes {"index" = %index}
    %subview = irdl.base @aie::@objectfifosubview
    irdl.operands(subview: %subview)
    %memref = irdl.base "!builtin.memref"
    irdl.results(output: %memref)
  }
}
irdl.dialect @aiex {
  irdl.operation @npu_dma_memcpy_nd {
    %static_offsets = irdl.base "#builtin.dense_array"
    %static_sizes = irdl.base "#builtin.dense_array"
    %static_strides = irdl.base "#builtin.dense_array"
    %metadata = irdl.base "#builtin.symbol_ref"
    %id = irdl.base "#builtin.integer"
    irdl.attributes {
      "static_offsets" = %static_offsets, "static_sizes" = %static_sizes, "static_strides" = %static_strides,
      "metadata" = %metadata, "id" = %id
    }
    %memref = irdl.base "!builtin.memref"
    irdl.operands(memref: %memref)
  }
  irdl.operation @npu_dma_wait {
    %symbol = irdl.base "#builtin.symbol_ref"
    irdl.attributes {"symbol" = %symbol}
  }
}
