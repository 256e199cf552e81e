/*
 * The numbers of pofac_status, which are part of the library's binary interface. pofac.h and ir/support/status.h both define the type;
 * whichever a file has seen, this holds it to the numbers.
 */
#ifndef POFAC_FRONTEND_STATUS_NUMBERS_H
#define POFAC_FRONTEND_STATUS_NUMBERS_H

_Static_assert(POFAC_OK == 0 && POFAC_ERR_RUNTIME == 1 && POFAC_ERR_USAGE == 2, "pofac_status");
_Static_assert(POFAC_ERR_INPUT == 3 && POFAC_ERR_NUMERIC == 4 && POFAC_ERR_INTERRUPTED == 5, "pofac_status");

#endif
