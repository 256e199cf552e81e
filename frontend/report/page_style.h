/* The look of the page, light and dark, on screens from 320 pixels on and in print; and the script that shows numbers under a pointer, without which nothing is missing. */
#ifndef POFAC_FRONTEND_REPORT_PAGE_STYLE_H
#define POFAC_FRONTEND_REPORT_PAGE_STYLE_H

extern const char page_style[], page_script[];

#endif
