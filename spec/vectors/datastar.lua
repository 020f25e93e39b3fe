-- SPDX-License-Identifier: MIT
-- The cases of the suite for Datastar SDKs (github.com/starfederation/datastar, sdk/test, MIT, (c) Star Federation): what a request
-- asks for, and the events that have to come.
return {
  { name = "get-cases/executeScriptWithAllOptions",
    input = [[{"events":[{"type":"executeScript","script":"console.log('hello');","eventId":"event1","retryDuration":2000,"attributes":{"type":"text/javascript","blocking":"false"},"autoRemove":false}]}]],
    output = [[
event: datastar-patch-elements
id: event1
retry: 2000
data: mode append
data: selector body
data: elements <script type="text/javascript" blocking="false">console.log('hello');</script>

]] },
  { name = "get-cases/executeScriptWithDefaults",
    input = [[{"events":[{"type":"executeScript","script":"console.log('hello');","autoRemove":true}]}]],
    output = [[
event: datastar-patch-elements
data: mode append
data: selector body
data: elements <script data-effect="el.remove()">console.log('hello');</script>

]] },
  { name = "get-cases/executeScriptWithMultilineScript",
    input = [[{"events":[{"type":"executeScript","script":"if (true) {\n  console.log('hello');\n}"}]}]],
    output = [[
event: datastar-patch-elements
data: mode append
data: selector body
data: elements <script data-effect="el.remove()">if (true) {
data: elements   console.log('hello');
data: elements }</script>

]] },
  { name = "get-cases/executeScriptWithoutDefaults",
    input = [[{"events":[{"type":"executeScript","script":"console.log('hello');"}]}]],
    output = [[
event: datastar-patch-elements
data: mode append
data: selector body
data: elements <script data-effect="el.remove()">console.log('hello');</script>

]] },
  { name = "get-cases/patchElementsWithAllOptions",
    input = [[{"events":[{"type":"patchElements","elements":"<div>Merge</div>","eventId":"event1","retryDuration":2000,"selector":"div","mode":"append","useViewTransition":true}]}]],
    output = [[
event: datastar-patch-elements
id: event1
retry: 2000
data: selector div
data: mode append
data: useViewTransition true
data: elements <div>Merge</div>

]] },
  { name = "get-cases/patchElementsWithDefaults",
    input = [[{"events":[{"type":"patchElements","elements":"<div>Merge</div>","mode":"outer","useViewTransition":false}]}]],
    output = [[
event: datastar-patch-elements
data: elements <div>Merge</div>

]] },
  { name = "get-cases/patchElementsWithMultilineElements",
    input = [[{"events":[{"type":"patchElements","elements":"<div>\n  <span>Merge</span>\n</div>"}]}]],
    output = [[
event: datastar-patch-elements
data: elements <div>
data: elements   <span>Merge</span>
data: elements </div>

]] },
  { name = "get-cases/patchElementsWithoutDefaults",
    input = [[{"events":[{"type":"patchElements","elements":"<div>Merge</div>"}]}]],
    output = [[
event: datastar-patch-elements
data: elements <div>Merge</div>

]] },
  { name = "get-cases/patchSignalsWithAllOptions",
    input = [[{"events":[{"type":"patchSignals","signals":{"one":1,"two":2},"eventId":"event1","retryDuration":2000,"onlyIfMissing":true}]}]],
    output = [[
event: datastar-patch-signals
id: event1
retry: 2000
data: onlyIfMissing true
data: signals {"one":1,"two":2}

]] },
  { name = "get-cases/patchSignalsWithDefaults",
    input = [[{"events":[{"type":"patchSignals","signals":{"one":1,"two":2},"onlyIfMissing":false}]}]],
    output = [[
event: datastar-patch-signals
data: signals {"one":1,"two":2}

]] },
  { name = "get-cases/patchSignalsWithMultilineJson",
    input = [[{"events":[{"type":"patchSignals","signals-raw":"{\n\"one\": \"first signal\",\n\"two\":  \n\"second signal\"}"}]}]],
    output = [[
event: datastar-patch-signals
data: signals {
data: signals "one": "first signal",
data: signals "two":  
data: signals "second signal"}

]] },
  { name = "get-cases/patchSignalsWithMultilineSignals",
    input = [[{"events":[{"type":"patchSignals","signals":{"one":"first\n signal","two":"second signal"}}]}]],
    output = [[
event: datastar-patch-signals
data: signals {"one":"first\n signal","two":"second signal"}

]] },
  { name = "get-cases/patchSignalsWithoutDefaults",
    input = [[{"events":[{"type":"patchSignals","signals":{"one":1,"two":2}}]}]],
    output = [[
event: datastar-patch-signals
data: signals {"one":1,"two":2}

]] },
  { name = "get-cases/removeElementsWithAllOptions",
    input = [[{"events":[{"type":"patchElements","selector":"#target","eventId":"event1","mode":"remove","retryDuration":2000,"useViewTransition":true}]}]],
    output = [[
event: datastar-patch-elements
id: event1
retry: 2000
data: selector #target
data: mode remove
data: useViewTransition true

]] },
  { name = "get-cases/removeElementsWithDefaults",
    input = [[{"events":[{"type":"patchElements","selector":"#target","mode":"remove","useViewTransition":false}]}]],
    output = [[
event: datastar-patch-elements
data: mode remove
data: selector #target

]] },
  { name = "get-cases/removeElementsWithoutDefaults",
    input = [[{"events":[{"type":"patchElements","selector":"#target","mode":"remove"}]}]],
    output = [[
event: datastar-patch-elements
data: mode remove
data: selector #target

]] },
  { name = "get-cases/removeSignalsWithAllOptions",
    input = [[{"events":[{"type":"patchSignals","signals":{"one":null,"two":{"alpha":null}},"eventId":"event1","retryDuration":2000}]}]],
    output = [[
event: datastar-patch-signals
id: event1
retry: 2000
data: signals {"one":null,"two":{"alpha":null}}

]] },
  { name = "get-cases/removeSignalsWithDefaults",
    input = [[{"events":[{"type":"patchSignals","signals":{"one":null}}]}]],
    output = [[
event: datastar-patch-signals
data: signals {"one":null}

]] },
  { name = "get-cases/sendTwoEvents",
    input = [[{"events":[{"type":"patchElements","elements":"<div>Merge</div>"},{"type":"patchElements","elements":"<div>Merge 2</div>"}]}]],
    output = [[
event: datastar-patch-elements
data: elements <div>Merge</div>

event: datastar-patch-elements
data: elements <div>Merge 2</div>

]] },
  { name = "post-cases/readSignalsFromBody",
    input = [[{"events":[{"type":"patchElements","elements":"<div>Merge</div>"}]}]],
    output = [[
event: datastar-patch-elements
data: elements <div>Merge</div>

]] },
}
