// SPDX-License-Identifier: MIT OR Apache-2.0
// CAMBIUM_EXPORT marks what the shared library lets a program call.
//
// Everything is compiled with hidden visibility; a class or function that is declared in include/ and defined in a
// .cc file needs the mark, templates and inline functions do not. A program needs no define to use either library.
#pragma once

#define CAMBIUM_EXPORT __attribute__((visibility("default")))
