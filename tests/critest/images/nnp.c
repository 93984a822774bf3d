/* Prints the user whose rights this process has. The file belongs to root and is setuid, so that a container that
 * started it as somebody else shows whether it may gain rights by executing a file. */
#include <stdio.h>
#include <unistd.h>

int main(void) {
  printf("Effective uid: %ld\n", (long)geteuid());
  return 0;
}
