// Stand-in for the parts of AMD's aie_api that Kiln's emitted kernels use, for g++ on the host.
//
// Not AMD code: written from the documented semantics of aie_api and from the instruction vectors
// seen on silicon (shared/data/silicon/README.md). The names and signatures are aie_api's, listed
// with their headers in ../aie_api_used.txt. What AIE2 lacks is a compile error here; what it
// leaves undefined stops the program with a message.
//
// Lane 0 is the lowest byte. Integer arithmetic wraps. The host must be little endian.
#pragma once

#include "accum.hpp"
#include "arith.hpp"
#include "cascade.hpp"
#include "float.hpp"
#include "lut.hpp"
#include "memory.hpp"
#include "mmul.hpp"
#include "modes.hpp"
#include "product.hpp"
#include "shuffle.hpp"
#include "types.hpp"
#include "vector.hpp"
