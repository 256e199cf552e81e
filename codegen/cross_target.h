/* Machines elsewhere: what LLVM must know before it makes code for them. */
#ifndef POFAC_CODEGEN_CROSS_TARGET_H
#define POFAC_CODEGEN_CROSS_TARGET_H

/* Registers all backends that LLVM has. Only in a child process (child_process.h): the registry is global. */
void cross_target_initialize(void);

#endif
