use leat_kernels::Aligned;

/// The working memory of a plan. It grows to what the largest plan it served needs and is then only reused. Keep one per
/// thread; any plan may use it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Rows of `f32`: those a layer reads and those it writes.
    pub(crate) values: [Aligned<f32>; 2],
    /// Rows of `u8` codes, likewise.
    pub(crate) codes: [Aligned<u8>; 2],
    /// What a kernel needs beside its rows.
    pub(crate) workspace: Aligned<f32>,
    /// Likewise for codes.
    pub(crate) code_workspace: Aligned<u8>,
    /// What was lent and given back.
    spare: Vec<Aligned<f32>>,
}

impl Scratch {
    /// How much memory it holds, in bytes.
    pub fn bytes(&self) -> usize {
        let values = self.values.iter().map(Aligned::bytes).sum::<usize>() + self.workspace.bytes();
        let spare: usize = self.spare.iter().map(Aligned::bytes).sum();
        values + self.codes.iter().map(Aligned::bytes).sum::<usize>() + self.code_workspace.bytes() + spare
    }

    /// Lends room for at least `len` values, for a plan that is made of others: what one of them gives and the next one takes. What it holds
    /// is unspecified. To be given back.
    pub fn lend(&mut self, len: usize) -> Aligned<f32> {
        let mut room = self.spare.pop().unwrap_or_default();
        room.ensure(len);
        room
    }

    /// Takes back what was lent, for the next time.
    pub fn give_back(&mut self, room: Aligned<f32>) {
        self.spare.push(room);
    }

    /// Makes the buffers at least this long. What they hold is unspecified.
    pub(crate) fn reserve(&mut self, needed: Lengths) {
        let Lengths { rows, workspace, code_workspace } = needed;
        self.workspace.ensure(workspace);
        self.code_workspace.ensure(code_workspace);
        self.values.iter_mut().for_each(|buffer| buffer.ensure(rows));
        self.codes.iter_mut().for_each(|buffer| buffer.ensure(rows));
    }
}

/// How many values or codes each buffer holds.
pub(crate) struct Lengths {
    pub(crate) rows: usize,
    pub(crate) workspace: usize,
    pub(crate) code_workspace: usize,
}
