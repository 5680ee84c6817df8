// SPDX-License-Identifier: MIT OR Apache-2.0
// Everything a program that embeds Cambium needs.
#pragma once

#include <cambium/limits.h>
#include <cambium/options.h>
#include <cambium/partition.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/cancel.h>
#include <cambium/rt/check.h>
#include <cambium/rt/cluster.h>
#include <cambium/rt/core.h>
#include <cambium/rt/event.h>
#include <cambium/rt/gate.h>
#include <cambium/rt/op.h>
#include <cambium/rt/result.h>
#include <cambium/rt/semaphore.h>
#include <cambium/rt/task.h>
#include <cambium/rt/when_all.h>
#include <cambium/salvage.h>
#include <cambium/table.h>
#include <cambium/version.h>
