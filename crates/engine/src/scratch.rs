/// The working memory of a plan. It grows to what the largest plan it served needs and is then only reused. Keep one per
/// thread; any plan may use it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Rows of `f32`: those a layer reads and those it writes.
    pub(crate) values: [Vec<f32>; 2],
    /// Rows of `u8` codes, likewise.
    pub(crate) codes: [Vec<u8>; 2],
    /// What a kernel needs beside its rows.
    pub(crate) workspace: Vec<f32>,
    /// Likewise for codes.
    pub(crate) code_workspace: Vec<u8>,
}

impl Scratch {
    /// How much memory it holds, in bytes.
    pub fn bytes(&self) -> usize {
        let values = self.values.iter().map(Vec::capacity).sum::<usize>() + self.workspace.capacity();
        let codes: usize = self.codes.iter().map(Vec::capacity).sum();
        values * size_of::<f32>() + codes + self.code_workspace.capacity()
    }

    /// Makes the buffers at least this long. What they hold is unspecified.
    pub(crate) fn reserve(&mut self, needed: Lengths) {
        let Lengths { rows, workspace, code_workspace } = needed;
        grow(&mut self.workspace, workspace);
        grow(&mut self.code_workspace, code_workspace);
        self.values.iter_mut().for_each(|buffer| grow(buffer, rows));
        self.codes.iter_mut().for_each(|buffer| grow(buffer, rows));
    }
}

/// How many values or codes each buffer holds.
pub(crate) struct Lengths {
    pub(crate) rows: usize,
    pub(crate) workspace: usize,
    pub(crate) code_workspace: usize,
}

fn grow<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
}
