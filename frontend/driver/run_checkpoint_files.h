/* Names of the files of a checkpoint that only run_checkpoint's files know. */
#ifndef POFAC_FRONTEND_RUN_CHECKPOINT_FILES_H
#define POFAC_FRONTEND_RUN_CHECKPOINT_FILES_H

#define RUN_POSITION_FILE "run_position.json"
#define RUN_SETTINGS_FILE "settings.txt"
#define RUN_KERNELS_FILE "kernels.txt"

#endif
