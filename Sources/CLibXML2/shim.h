// SPDX-License-Identifier: Apache-2.0
#ifndef CLIBXML2_SHIM_H
#define CLIBXML2_SHIM_H

// Debian's libxml2 includes ICU's headers, which differ from those in Foundation's own ICU; nothing here needs them.
#include <libxml/xmlversion.h>
#undef LIBXML_ICU_ENABLED
#include <libxml/parser.h>
#include <libxml/tree.h>

// xmlFree is a global variable, which Swift 6 does not let concurrent code read.
static inline void evenkeel_xml_free(void *memory) { xmlFree(memory); }

#endif
