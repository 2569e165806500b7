/*
** Runs a command and prints, after what it printed itself, one line with what it took:
**
**   MEASURED wall user system peak        seconds, seconds, seconds, KiB
**
** The peak is the most resident memory that the process ever had. Ends with the command's status.
** Small on purpose: a child counts the memory of the process that it was forked from.
*/
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
  struct rusage usage;
  int status;
  if (count < 2) return 2;
  double started = now();
  pid_t child = fork();
  if (child < 0) return 1;
  if (child == 0) {
    execvp(arguments[1], arguments + 1);
    perror(arguments[1]);
    _exit(127);
  }
  if (wait4(child, &status, 0, &usage) != child) return 1;
  printf("MEASURED %.6f %.6f %.6f %ld\n", now() - started, seconds(usage.ru_utime),
         seconds(usage.ru_stime), usage.ru_maxrss);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
