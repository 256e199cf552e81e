/* Versions and statuses; see pofac.h, which is all that this file sees, as a user does. */
#include "frontend/api/pofac.h"

#include "frontend/api/status_numbers.h"

const char *pofac_version(void) { return POFAC_VERSION; }

const char *pofac_status_name(pofac_status status) {
    switch (status) {
    case POFAC_OK: return "ok";
    case POFAC_ERR_RUNTIME: return "runtime";
    case POFAC_ERR_USAGE: return "usage";
    case POFAC_ERR_INPUT: return "input";
    case POFAC_ERR_NUMERIC: return "numeric";
    case POFAC_ERR_INTERRUPTED: return "interrupted";
    }
    return "unknown";
}
