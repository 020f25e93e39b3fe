// SPDX-License-Identifier: MIT
new EventSource("time").onmessage = event => document.getElementById("time").value = event.data
