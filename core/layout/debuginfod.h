/* Debug info from the servers that DEBUGINFOD_URLS names, when it is set and
 * libdebuginfod is installed. */
#ifndef PYR_LAYOUT_DEBUGINFOD_H
#define PYR_LAYOUT_DEBUGINFOD_H

/* The path of the debug file of @build_id (lower-case hex), to be freed; NULL when
 * none is configured, reachable or known there. */
char *pyr_debuginfod_find(const char *build_id);

#endif
