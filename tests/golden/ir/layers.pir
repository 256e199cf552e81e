graph @bert (T <= 64) {
  scope "embeddings"
  %1 = input {name = "x"}                                                : f32[T,4]
  scope "encoder.layer.0.intermediate"
  %2 = pattern {name = "bert.encoder.layer.0.intermediate.dense.weight"} : pattern[8,4]
  %3 = state {name = "bert.encoder.layer.0.intermediate.dense.weight"}   : f32[nnz(%2)]
  %4 = linear %1, %3, _, %2 {group = 1, slot = [0]}                      : f32[T,8]
  %5 = gelu %4 {group = 1}                                               : f32[T,8]
  scope "encoder.layer.0.output"
  %6 = state {name = "bert.encoder.layer.0.output.dense.weight"}         : f32[4,8]
  %7 = linear %5, %6 {group = 2}                                         : f32[T,4]
  %8 = add %7, %1 {group = 2}                                            : f32[T,4]
  scope "encoder.layer.1.intermediate"
  %9 = pattern {name = "bert.encoder.layer.1.intermediate.dense.weight"} : pattern[8,4]
  %10 = state {name = "bert.encoder.layer.1.intermediate.dense.weight"}  : f32[nnz(%9)]
  %11 = linear %8, %10, _, %9 {group = 11, slot = [1]}                   : f32[T,8]
  %12 = gelu %11 {group = 11}                                            : f32[T,8]
  scope "encoder.layer.1.output"
  %13 = state {name = "bert.encoder.layer.1.output.dense.weight"}        : f32[4,8]
  %14 = linear %12, %13 {group = 12}                                     : f32[T,4]
  %15 = add %14, %8 {group = 12}                                         : f32[T,4]
  scope "encoder.layer.2.intermediate"
  %16 = pattern {name = "bert.encoder.layer.2.intermediate.dense.weight"} : pattern[8,4]
  %17 = state {name = "bert.encoder.layer.2.intermediate.dense.weight"}  : f32[nnz(%16)]
  %18 = linear %15, %17, _, %16 {group = 21, slot = [0]}                 : f32[T,8]
  %19 = gelu %18 {group = 21}                                            : f32[T,8]
  scope "encoder.layer.2.output"
  %20 = state {name = "bert.encoder.layer.2.output.dense.weight"}        : f32[4,8]
  %21 = linear %19, %20 {group = 22}                                     : f32[T,4]
  %22 = add %21, %15 {group = 22}                                        : f32[T,4]
  scope "encoder.layer.3.intermediate"
  %23 = pattern {name = "bert.encoder.layer.3.intermediate.dense.weight"} : pattern[8,4]
  %24 = state {name = "bert.encoder.layer.3.intermediate.dense.weight"}  : f32[nnz(%23)]
  %25 = linear %22, %24, _, %23 {group = 31, slot = [1]}                 : f32[T,8]
  %26 = gelu %25 {form = "tanh", group = 31}                             : f32[T,8]
  scope "encoder.layer.3.output"
  %27 = state {name = "bert.encoder.layer.3.output.dense.weight"}        : f32[4,8]
  %28 = linear %26, %27 {group = 32}                                     : f32[T,4]
  %29 = add %28, %22 {group = 32}                                        : f32[T,4]
  scope "encoder.layer.4.intermediate"
  %30 = pattern {name = "bert.encoder.layer.4.intermediate.dense.weight"} : pattern[8,4]
  %31 = state {name = "bert.encoder.layer.4.intermediate.dense.weight"}  : f32[nnz(%30)]
  %32 = linear %29, %31, _, %30 {group = 41, slot = [0]}                 : f32[T,8]
  %33 = gelu %32 {group = 41}                                            : f32[T,8]
  scope "encoder.layer.4.output"
  %34 = state {name = "bert.encoder.layer.4.output.dense.weight"}        : f32[4,8]
  %35 = linear %33, %34 {group = 42}                                     : f32[T,4]
  %36 = add %35, %29 {group = 42}                                        : f32[T,4]
  scope "encoder.layer.5.intermediate"
  %37 = pattern {name = "bert.encoder.layer.5.intermediate.dense.weight"} : pattern[8,4]
  %38 = state {name = "bert.encoder.layer.5.intermediate.dense.weight"}  : f32[nnz(%37)]
  %39 = linear %36, %38, _, %37 {group = 51, slot = [1]}                 : f32[T,8]
  %40 = gelu %39 {group = 51}                                            : f32[T,8]
  scope "encoder.layer.5.output"
  %41 = state {name = "bert.encoder.layer.5.output.dense.weight"}        : f32[4,8]
  %42 = linear %40, %41 {group = 52}                                     : f32[T,4]
  %43 = add %42, %36 {group = 52}                                        : f32[T,4]
  scope "encoder.layer.6.intermediate"
  %44 = pattern {name = "bert.encoder.layer.6.intermediate.dense.weight"} : pattern[8,4]
  %45 = state {name = "bert.encoder.layer.6.intermediate.dense.weight"}  : f32[nnz(%44)]
  %46 = linear %43, %45, _, %44 {group = 61, slot = [0]}                 : f32[T,8]
  %47 = gelu %46 {group = 61}                                            : f32[T,8]
  scope "encoder.layer.6.output"
  %48 = state {name = "bert.encoder.layer.6.output.dense.weight"}        : f32[4,8]
  %49 = linear %47, %48 {group = 62}                                     : f32[T,4]
  %50 = add %49, %43 {group = 62}                                        : f32[T,4]
  scope "encoder.layer.7.intermediate"
  %51 = pattern {name = "bert.encoder.layer.7.intermediate.dense.weight"} : pattern[8,4]
  %52 = state {name = "bert.encoder.layer.7.intermediate.dense.weight"}  : f32[nnz(%51)]
  %53 = linear %50, %52, _, %51 {group = 71, slot = [1]}                 : f32[T,8]
  %54 = gelu %53 {group = 71}                                            : f32[T,8]
  scope "encoder.layer.7.output"
  %55 = state {name = "bert.encoder.layer.7.output.dense.weight"}        : f32[4,8]
  %56 = linear %54, %55 {group = 72}                                     : f32[T,4]
  %57 = add %56, %50 {group = 72}                                        : f32[T,4]
  scope "encoder.layer.8.intermediate"
  %58 = pattern {name = "bert.encoder.layer.8.intermediate.dense.weight"} : pattern[8,4]
  %59 = state {name = "bert.encoder.layer.8.intermediate.dense.weight"}  : f32[nnz(%58)]
  %60 = linear %57, %59, _, %58 {group = 81, slot = [0]}                 : f32[T,8]
  %61 = gelu %60 {group = 81}                                            : f32[T,8]
  scope "encoder.layer.8.output"
  %62 = state {name = "bert.encoder.layer.8.output.dense.weight"}        : f32[4,8]
  %63 = linear %61, %62 {group = 82}                                     : f32[T,4]
  %64 = add %63, %57 {group = 82}                                        : f32[T,4]
  scope "encoder.layer.9.intermediate"
  %65 = pattern {name = "bert.encoder.layer.9.intermediate.dense.weight"} : pattern[8,4]
  %66 = state {name = "bert.encoder.layer.9.intermediate.dense.weight"}  : f32[nnz(%65)]
  %67 = linear %64, %66, _, %65 {group = 91, slot = [1]}                 : f32[T,8]
  %68 = gelu %67 {group = 91}                                            : f32[T,8]
  scope "encoder.layer.9.output"
  %69 = state {name = "bert.encoder.layer.9.output.dense.weight"}        : f32[4,8]
  %70 = linear %68, %69 {group = 92}                                     : f32[T,4]
  %71 = add %70, %64 {group = 92}                                        : f32[T,4]
  scope "encoder.layer.10.intermediate"
  %72 = pattern {name = "bert.encoder.layer.10.intermediate.dense.weight"} : pattern[8,4]
  %73 = state {name = "bert.encoder.layer.10.intermediate.dense.weight"} : f32[nnz(%72)]
  %74 = linear %71, %73, _, %72 {group = 101, slot = [0]}                : f32[T,8]
  %75 = gelu %74 {group = 101}                                           : f32[T,8]
  scope "encoder.layer.10.output"
  %76 = state {name = "bert.encoder.layer.10.output.dense.weight"}       : f32[4,8]
  %77 = linear %75, %76 {group = 102}                                    : f32[T,4]
  %78 = add %77, %71 {group = 102}                                       : f32[T,4]
  scope "encoder.layer.11.intermediate"
  %79 = pattern {name = "bert.encoder.layer.11.intermediate.dense.weight"} : pattern[8,4]
  %80 = state {name = "bert.encoder.layer.11.intermediate.dense.weight"} : f32[nnz(%79)]
  %81 = linear %78, %80, _, %79 {group = 111, slot = [1]}                : f32[T,8]
  %82 = gelu %81 {group = 111}                                           : f32[T,8]
  scope "encoder.layer.11.output"
  %83 = state {name = "bert.encoder.layer.11.output.dense.weight"}       : f32[4,8]
  %84 = linear %82, %83 {group = 112}                                    : f32[T,4]
  %85 = add %84, %78 {group = 112}                                       : f32[T,4]
  scope "encoder.layer.12.intermediate"
  %86 = pattern {name = "bert.encoder.layer.12.intermediate.dense.weight"} : pattern[8,4]
  %87 = state {name = "bert.encoder.layer.12.intermediate.dense.weight"} : f32[nnz(%86)]
  %88 = linear %85, %87, _, %86 {group = 121, slot = [0]}                : f32[T,8]
  %89 = gelu %88 {group = 121}                                           : f32[T,8]
  scope "encoder.layer.12.output"
  %90 = state {name = "bert.encoder.layer.12.output.dense.weight"}       : f32[4,8]
  %91 = linear %89, %90 {group = 122}                                    : f32[T,4]
  %92 = add %91, %85 {group = 122}                                       : f32[T,4]
  scope "pooler"
  %93 = relu %92                                                         : f32[T,4]
  return "y" = %93
}
