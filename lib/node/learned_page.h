// SPDX-License-Identifier: MIT OR Apache-2.0
// The door for pages of a learned index (format/learned_index_page.h): what must hold of their bytes so that a search
// stays inside them and inside the index, whatever their numbers say. Pure.
//
// Beside validate_node(): the page cache asks both before it lets anybody see a page. What takes two pages to tell is
// for whoever reads them together (levels/learned_index.h).
//
// Errors     null, or what is wrong.
#pragma once

namespace cambium::node {

const char* validate_learned_root(const char* page) noexcept;
const char* validate_learned_directory(const char* page) noexcept;

}  // namespace cambium::node
