#pragma once
#include "kernel/string.h"
