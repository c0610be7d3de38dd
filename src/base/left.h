/* SPDX-License-Identifier: Apache-2.0
 * base/left.h: what a killed process left behind: files and folders named STEMPID or STEMPID-N, made to be renamed or removed in the end. */
#ifndef BASE_LEFT_H
#define BASE_LEFT_H

/* Marks an open file or folder as somebody's work until fd is closed. Best effort: where there are no locks the process' number must do. */
void left_claim(int fd);
/* Removes regular files whose path is `stem`, a number of a process that is no more, and perhaps -N, unless another has claimed them. With
 * `ours` folders instead: the files in them of which it is true (and in folders in them, one level down, of which it is), then the folder when nothing
 * else is in it. Errors are no matter. */
void left_sweep(const char *stem, int (*ours)(const char *name));
/* The same of one folder of this process. */
void left_drop(const char *folder, int (*ours)(const char *name));

#endif
