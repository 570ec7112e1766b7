//! DPDK's telemetry: commands that `dpdk-telemetry.py` shows.
//!
//! `lm-node` registers the commands of LM's ports, and lmd its own. A command remains registered, because
//! DPDK has no call to remove one. Its answer is made in EAL's telemetry thread, so it may use only data that
//! is safe for any thread. A panic of a command becomes a failed command.

use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::{error, fmt};

use dpdk_sys::rte_tel_data;

use crate::{Eal, Errno};

/// The answer of a command. DPDK 22.11 shows only lists within a list, and lists and dictionaries within a
/// dictionary, one level deep. Values that it does not show are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(u64),
    /// A text of at most 127 bytes; a longer text is cut.
    Text(String),
    /// Names and values, at most 256. Names have letters, digits and underscores.
    Dict(Vec<(String, Value)>),
    /// Values of one kind, at most 512.
    List(Vec<Value>),
}

/// Makes the answer from the command's parameter. `None`: the parameter is wrong.
pub type Answer = fn(Option<&str>) -> Option<Value>;

/// The commands of this process, in the order in which they were registered.
static COMMANDS: Mutex<Vec<(CString, Answer)>> = Mutex::new(Vec::new());

/// The longest text.
const LONGEST: usize = 127;
/// The most entries of a dictionary and of a list.
const MOST: (usize, usize) = (256, 512);

/// Registers a command, such as `/lm/ports`, for good. A command that is registered already stays as it is.
///
/// # Errors
/// [`TelemetryError`]: DPDK refuses the name, or its table is full.
pub fn register(_eal: &Eal, command: &CStr, help: &CStr, answer: Answer) -> Result<(), TelemetryError> {
    let mut commands = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner);
    if commands.iter().any(|(known, _)| known.as_c_str() == command) {
        return Ok(());
    }
    // The command is in our table before DPDK can call it.
    commands.push((command.to_owned(), answer));
    // SAFETY: EAL is initialised; both strings are copied; the function lives for ever.
    let ret = unsafe { dpdk_sys::rte_telemetry_register_cmd(command.as_ptr(), Some(asked), help.as_ptr()) };
    if ret != 0 {
        commands.pop();
        let command = command.to_string_lossy().into_owned();
        return Err(TelemetryError { command, errno: Errno::of_return(ret) });
    }
    Ok(())
}

/// Called by DPDK for each of our commands, in its own thread.
unsafe extern "C" fn asked(command: *const c_char, params: *const c_char, to: *mut rte_tel_data) -> c_int {
    if command.is_null() || to.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: DPDK passes NUL-terminated strings, which live for the call; there may be no parameters.
    let (command, params) =
        unsafe { (CStr::from_ptr(command), (!params.is_null()).then(|| CStr::from_ptr(params))) };
    // A panic must not unwind into DPDK; the command fails instead.
    let value = catch_unwind(AssertUnwindSafe(|| {
        let params = params.map(CStr::to_str).transpose().ok()?;
        let answer = {
            let commands = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner);
            commands.iter().find(|(known, _)| known.as_c_str() == command)?.1
        };
        answer(params)
    }));
    match value {
        // SAFETY: DPDK gives us this answer to fill in.
        Ok(Some(value)) => unsafe { write(to, &value) },
        _ => -libc::EINVAL,
    }
}

fn text(text: &str) -> CString {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    CString::new(text[..end].replace('\0', " ")).unwrap_or_default()
}

/// Writes a value into an empty answer. What DPDK has no room for is left out.
///
/// # Safety
/// `to` is an answer that DPDK gave for this, or that `rte_tel_data_alloc` made.
unsafe fn write(to: *mut rte_tel_data, value: &Value) -> c_int {
    // SAFETY: the caller's promise; strings live until each call returns, and are copied.
    unsafe {
        match value {
            Value::Number(n) => {
                dpdk_sys::rte_tel_data_start_dict(to);
                dpdk_sys::dpdk_sys_tel_dict_number(to, c"value".as_ptr(), *n)
            }
            Value::Text(s) => dpdk_sys::rte_tel_data_string(to, text(s).as_ptr()),
            Value::Dict(entries) => {
                dpdk_sys::rte_tel_data_start_dict(to);
                for (name, value) in entries.iter().take(MOST.0) {
                    let name = text(name);
                    match value {
                        Value::Number(n) => dpdk_sys::dpdk_sys_tel_dict_number(to, name.as_ptr(), *n),
                        Value::Text(s) => {
                            dpdk_sys::rte_tel_data_add_dict_string(to, name.as_ptr(), text(s).as_ptr())
                        }
                        inner => {
                            let Some(container) = nested(inner) else { continue };
                            let ret =
                                dpdk_sys::rte_tel_data_add_dict_container(to, name.as_ptr(), container, 0);
                            keep(container, ret)
                        }
                    };
                }
                0
            }
            Value::List(values) => {
                let kind = match values.first() {
                    None | Some(Value::Number(_)) => dpdk_sys::DPDK_SYS_TEL_NUMBERS,
                    Some(Value::Text(_)) => dpdk_sys::RTE_TEL_STRING_VAL,
                    Some(_) => dpdk_sys::RTE_TEL_CONTAINER,
                };
                dpdk_sys::rte_tel_data_start_array(to, kind);
                for value in values.iter().take(MOST.1) {
                    match value {
                        Value::Number(n) => dpdk_sys::dpdk_sys_tel_array_number(to, *n),
                        Value::Text(s) => dpdk_sys::rte_tel_data_add_array_string(to, text(s).as_ptr()),
                        inner => {
                            let Some(container) = nested(inner) else { continue };
                            keep(container, dpdk_sys::rte_tel_data_add_array_container(to, container, 0))
                        }
                    };
                }
                0
            }
        }
    }
}

/// A list or dictionary within another one, which DPDK frees.
fn nested(value: &Value) -> Option<*mut rte_tel_data> {
    // SAFETY: allocates; the result is checked, and empty.
    unsafe {
        let container = dpdk_sys::rte_tel_data_alloc();
        if container.is_null() {
            return None;
        }
        write(container, value);
        Some(container)
    }
}

/// Frees a container if DPDK did not take it. Returns `ret`, which is DPDK's answer: 0 if it took it.
///
/// # Safety
/// The container came from [`nested`], and nobody else frees it if `ret` is not 0.
unsafe fn keep(container: *mut rte_tel_data, ret: c_int) -> c_int {
    if ret != 0 {
        // SAFETY: the caller's promise.
        unsafe { dpdk_sys::rte_tel_data_free(container) };
    }
    ret
}

/// DPDK did not accept a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryError {
    /// The command.
    pub command: String,
    /// Why.
    pub errno: Errno,
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.errno.number() {
            libc::EINVAL => "begin it with / and keep it and its help short",
            libc::ENOENT | libc::ENOMEM => "its table is full, so register fewer commands",
            _ => "do without it, or without --no-telemetry",
        };
        write!(f, "DPDK's telemetry does not take the command {}: {}; {advice}", self.command, self.errno)
    }
}

impl error::Error for TelemetryError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.errno)
    }
}
