/* Folders that tests make and remove again. */
#ifndef POFAC_TESTS_UNIT_TEMPORARY_FOLDER_H
#define POFAC_TESTS_UNIT_TEMPORARY_FOLDER_H

/* Removes a folder with all that is in it. Paths of more than 511 bytes stay. */
void folder_remove(const char *path);

#endif
