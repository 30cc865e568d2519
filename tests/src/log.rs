//! Log records of nodes: an `error` is a violation, everything else is not even looked at.

use std::{cell::RefCell, fmt, fmt::Write as _, sync::OnceLock};
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, dispatcher,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};

thread_local! {
    static ERRORS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs `act` and returns the error records that it wrote.
pub(crate) fn errors_of(act: impl FnOnce()) -> Vec<String> {
    static DISPATCH: OnceLock<Dispatch> = OnceLock::new();
    dispatcher::with_default(DISPATCH.get_or_init(|| Dispatch::new(Errors)), act);
    ERRORS.take()
}

/// Keeps errors until the step is over.
struct Errors;

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(format!("{}:", event.metadata().target()));
        event.record(&mut text);
        ERRORS.with_borrow_mut(|errors| errors.push(text.0));
    }

    // Nodes open no spans at this level; if one does, its name is of no interest.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_caught_and_the_rest_is_not() {
        let errors = errors_of(|| {
            tracing::warn!("not so bad");
            tracing::error!(number = 7, "bad");
        });
        assert_eq!(errors.len(), 1);
        assert!(errors[0].contains("number=7"), "{errors:?}");
        assert!(errors_of(|| {}).is_empty());
    }
}
